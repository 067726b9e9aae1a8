// The same bound to a key (RFC 9449), once by a phone whose clock is right and once by one that is two minutes slow:
// then the server asks for a nonce of its own, and the library repeats the request with it.
import * as client from 'openid-client';
import { begin, discover, use } from './setup.mjs';
import { heard } from '../lib/nonces.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const config = await discover({ ...p, metadata: { [client.clockSkew]: p.skew } });
  const { fetching, at } = heard();
  config[client.customFetch] = fetching;
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const { url, checks } = await begin(config, p, { dpop_jkt: await DPoP.calculateThumbprint() });
  const tokens = await client.authorizationCodeGrant(config, await browse(url), checks, undefined, { DPoP });
  const result = await use(config, tokens, { DPoP });
  const stolen = await refused(client.refreshTokenGrant(config, result.refreshed.refresh_token));
  return { ...result, stolen, asked: [...at] };
});
