// Keys as OpenSSL writes them, for WebCrypto, which the libraries sign with.
const algorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' },
};

/** A private key out of a PEM text ("BEGIN PRIVATE KEY"), with the name the server knows it by. */
export async function privateKey({ pem, alg, kid }) {
  const algorithm = algorithms[alg];
  const der = Buffer.from(pem.replace(/-----.*?-----/g, ''), 'base64');
  const key = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  return { key, kid };
}
