import * as oauth from 'oauth4webapi';

export const options = { [oauth.allowInsecureRequests]: true }; // the test's issuer is http on loopback

export async function discover(issuer) {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...options, algorithm: 'oidc' }));
}

/** The address to send the person to, with what must be known when they come back. */
export async function begin(as, p, more = {}) {
  const { parameters, trip } = await asked(p, more);
  trip.url = new URL(as.authorization_endpoint);
  trip.url.search = new URLSearchParams(parameters);
  return trip;
}

/** What a trip asks for, and what must be known when the person comes back. */
export async function asked(p, more = {}) {
  const trip = { verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce() };
  const parameters = {
    client_id: p.client_id, redirect_uri: p.redirect_uri, response_type: 'code', scope: p.scope, resource: p.resource,
    code_challenge: await oauth.calculatePKCECodeChallenge(trip.verifier), code_challenge_method: 'S256',
    state: trip.state, nonce: trip.nonce, ...more,
  };
  return { parameters, trip };
}

/** Repeats a request once where the server asks for a proof with its nonce (RFC 9449 §8). */
export async function twice(request, process) {
  try {
    return { answer: await process(await request()), again: false };
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return { answer: await process(await request()), again: true };
  }
}
