/**
 * For development: the page and the gateway have one origin, so that no CORS_ORIGINS are needed, and the client's URL
 * is `/graphql` as in production. The Host header stays that of the page (`changeOrigin` is off), which a gateway
 * without AUTH_MODE asks for.
 */
export default {
  server: {
    proxy: { '/graphql': process.env['GATEWAY_URL'] || 'http://127.0.0.1:4000' },
  },
};
