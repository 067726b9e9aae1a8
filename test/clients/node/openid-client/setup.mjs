import * as client from 'openid-client';

/** Finds the server and says who we are, in the one way the test asks for. */
export async function discover(p) {
  const options = { execute: [client.allowInsecureRequests] }; // the test's issuer is http on loopback
  return client.discovery(new URL(p.issuer), p.client_id, p.metadata, await method(p), options);
}

async function method(p) {
  switch (p.auth) {
    case 'client_secret_basic': return client.ClientSecretBasic(p.secret);
    case 'client_secret_post': return client.ClientSecretPost(p.secret);
    case 'private_key_jwt': {
      const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
      const key = await crypto.subtle.importKey('jwk', p.key, algorithm, false, ['sign']);
      return client.PrivateKeyJwt({ key, kid: p.key.kid });
    }
    default: return client.None();
  }
}

/** Begins a trip: where to send the person, and what is checked when they come back. */
export async function begin(config, p, more = {}) {
  const { parameters, checks } = await asked(p, more);
  return { url: client.buildAuthorizationUrl(config, parameters), checks };
}

/** What a trip asks for, and what is checked when the person comes back. */
export async function asked(p, more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true };
  const parameters = {
    redirect_uri: p.redirect_uri, scope: p.scope, resource: p.resource, ...more,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
    state: checks.expectedState, nonce: checks.expectedNonce,
  };
  return { parameters, checks };
}

/** What every flow ends with: refreshed tokens, and what /userinfo says of the person they are about. */
export async function use(config, tokens, options) {
  const sub = tokens.claims().sub;
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
  const userinfo = await client.fetchUserInfo(config, refreshed.access_token, sub, options);
  return { claims: tokens.claims(), tokens, refreshed, userinfo };
}
