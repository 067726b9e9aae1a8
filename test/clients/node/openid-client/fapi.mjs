// FAPI 2.0 with every check the library has. The client signs who it is, pushes its requests, and its tokens are bound to a
// key. Under Message Signing it signs the requests too, and takes only signed answers.
import * as client from 'openid-client';
import { asked, use } from './setup.mjs';
import { behind, heard } from '../lib/nonces.mjs';
import { privateKey } from '../lib/key.mjs';
import { broken } from '../lib/forge.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const { key, kid } = await privateKey(p.key);
  const issuer = new URL(p.issuer), clientId = p.client_id, keyPair = await client.randomDPoPKeyPair('ES256');
  const config = await client.discovery(issuer, clientId, {
    id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256',
  }, client.PrivateKeyJwt({ key, kid }));
  client.enableNonRepudiationChecks(config); // the ID token's signature, not only the connection it came over
  const DPoP = client.getDPoPHandle(config, keyPair, behind(client.modifyAssertion, p.seconds));
  const { fetching, at } = heard();
  config[client.customFetch] = fetching;

  let { parameters, checks } = await asked(p);
  if (p.signed) {
    client.useJwtResponseMode(config);
    const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid });
    parameters = signed.searchParams;
  }
  const url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP });
  const back = await browse(url);
  const forged = p.signed && await refused(client.authorizationCodeGrant(config, broken(back), checks, undefined, { DPoP }));
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });

  const result = await use(config, tokens, { DPoP });
  const stolen = await refused(client.refreshTokenGrant(config, result.refreshed.refresh_token));
  return { ...result, url, back, forged, stolen, asked: [...at] };
});
