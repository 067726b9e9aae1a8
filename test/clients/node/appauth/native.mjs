// A desktop app with AppAuth: it opens the person's browser, listens for the redirect on loopback (RFC 8252 §7.3), and
// gets, refreshes and revokes tokens.
import {
  AuthorizationNotifier, AuthorizationRequest, AuthorizationServiceConfiguration, BaseTokenRequestHandler,
  GRANT_TYPE_AUTHORIZATION_CODE, GRANT_TYPE_REFRESH_TOKEN, RevokeTokenRequest, TokenRequest, setFlag,
} from '@openid/appauth';
import { NodeBasedHandler } from '@openid/appauth/built/src/node_support/node_request_handler.js';
import { NodeCrypto } from '@openid/appauth/built/src/node_support/crypto_utils.js';
import { NodeRequestor } from '@openid/appauth/built/src/node_support/node_requestor.js';
import { main } from '../lib/talk.mjs';

const requestor = new NodeRequestor();
const tokenHandler = new BaseTokenRequestHandler(requestor);

// What comes back to the loopback address, with the request it answers.
function authorize(service, p) {
  const request = new AuthorizationRequest({
    client_id: p.client_id, redirect_uri: p.redirect_uri, scope: p.scope, response_type: AuthorizationRequest.RESPONSE_TYPE_CODE,
    extras: { nonce: p.nonce, resource: p.resource },
  }, new NodeCrypto());
  const handler = new NodeBasedHandler(p.port);
  const notifier = new AuthorizationNotifier();
  handler.setAuthorizationNotifier(notifier);
  return new Promise((resolve, reject) => {
    notifier.setAuthorizationListener((sent, response, error) => {
      if (error || response.state !== sent.state) reject(new Error(error?.error ?? 'the state of another request'));
      else resolve({ sent, response });
    });
    handler.performAuthorizationRequest(service, request);
  });
}

main(async (p) => {
  setFlag('IS_LOG', false);
  const service = await AuthorizationServiceConfiguration.fetchFromIssuer(p.issuer, requestor);
  const { sent, response } = await authorize(service, p);
  const common = { client_id: p.client_id, redirect_uri: p.redirect_uri };
  const tokens = await tokenHandler.performTokenRequest(service, new TokenRequest({
    ...common, grant_type: GRANT_TYPE_AUTHORIZATION_CODE, code: response.code,
    extras: { code_verifier: sent.internal.code_verifier },
  }));
  const refreshed = await tokenHandler.performTokenRequest(service, new TokenRequest({
    ...common, grant_type: GRANT_TYPE_REFRESH_TOKEN, refresh_token: tokens.refreshToken,
  }));
  const result = { tokens: tokens.toJson(), refreshed: refreshed.toJson() };
  result.revoked = await tokenHandler.performRevokeTokenRequest(service, new RevokeTokenRequest({
    client_id: p.client_id, token: refreshed.refreshToken,
  }));
  return result;
});
