import { generateKeyPairSync } from 'node:crypto';
import { isIP } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import forge from 'node-forge';

/** A server's certificate with its key, as `node:https` takes them. */
export interface ServerCertificate {
  cert: string;
  key: string;
}

export interface CertificateAuthority {
  /** Its own certificate, PEM. */
  certificate: string;
  /** Issues one for an IP address or a host name; servers accept it of clients, too. */
  issue(host: string, validity: Validity): ServerCertificate;
  /** Its certificates are trusted in this process, others are not, until what it returns is disposed of. */
  trust(): Disposable;
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

  const certificate = sign(issuer, [{ name: 'basicConstraints', cA: true }], validity);
  return {
    certificate,
    issue(host, dates) {
      const altName = isIP(host) ? { type: 7, ip: host } : { type: 2, value: host };
      const extensions = [{ name: 'subjectAltName', altNames: [altName] }];
      return { key: privateKey, cert: sign(nameOf(host), extensions, dates) };
    },
    trust() {
      const before = getCACertificates('default');
      setDefaultCACertificates([certificate]);
      return { [Symbol.dispose]: () => setDefaultCACertificates(before) };
    },
  };
}

function nameOf(value: string): forge.pki.CertificateField[] {
  return [{ name: 'commonName', value }];
}
