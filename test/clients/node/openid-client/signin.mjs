// Native sign-in, bound to a key: a nonce of ours, Google's id_token for it, and our tokens in exchange (RFC 8693).
import * as client from 'openid-client';
import { discover, use } from './setup.mjs';
import { credential, main } from '../lib/talk.mjs';

main(async (p) => {
  const config = await discover(p);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const challenge = await fetch(config.serverMetadata().challenge_endpoint, {
    method: 'POST', body: new URLSearchParams({ client_id: p.client_id }),
  });
  const { nonce } = await challenge.json();
  const tokens = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: await credential(nonce), subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    nonce, scope: p.scope, resource: p.resource,
  }, { DPoP });
  return use(config, tokens, { DPoP });
});
