import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** A server's certificate with its key, as `node:https` takes them. */
export interface ServerCertificate {
  cert: string;
  key: string;
}

export interface CertificateAuthority {
  /** Its own certificate, PEM. */
  certificate: string;
  /** Issues one for an IP address. */
  issue(address: string, validity: Validity): ServerCertificate;
}

export interface Validity {
  from: Date;
  until: Date;
}

/** A certificate authority of the test's own. */
export function createCertificateAuthority(validity: Validity): CertificateAuthority {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = forge.pki.privateKeyFromPem(privateKey);
  const publicKey = forge.pki.rsa.setPublicKey(key.n, key.e);
  const issuer = nameOf('Test Authority');

  function sign(subject: forge.pki.CertificateField[], extensions: object[], dates: Validity) {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = publicKey;
    certificate.serialNumber = '01';
    certificate.validity.notBefore = dates.from;
    certificate.validity.notAfter = dates.until;
    certificate.setSubject(subject);
    certificate.setIssuer(issuer);
    certificate.setExtensions(extensions);
    certificate.sign(key, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  }

  return {
    certificate: sign(issuer, [{ name: 'basicConstraints', cA: true }], validity),
    issue: (address, dates) => ({
      key: privateKey,
      cert: sign(
        nameOf(address),
        [{ name: 'subjectAltName', altNames: [{ type: 7, ip: address }] }],
        dates,
      ),
    }),
  };
}

function nameOf(value: string): forge.pki.CertificateField[] {
  return [{ name: 'commonName', value }];
}
