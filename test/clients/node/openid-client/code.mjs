// Sign-in in the browser with code and PKCE, then refresh, userinfo, and the address for logging out.
import * as client from 'openid-client';
import { begin, discover, use } from './setup.mjs';
import { browse, browsePost, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const config = await discover(p);
  const posted = p.response_mode === 'form_post';
  const { url, checks } = await begin(config, p, posted ? { response_mode: 'form_post' } : {});
  const back = await (posted ? browsePost : browse)(url);
  const mixups = posted ? [] : await mixedUp(config, back, checks);
  const tokens = await client.authorizationCodeGrant(config, back, checks);
  const result = { ...await use(config, tokens), mixups };
  if (p.logout) {
    result.logout = client.buildEndSessionUrl(config, {
      post_logout_redirect_uri: p.logout, id_token_hint: tokens.id_token, state: 'so long',
    }).href;
  }
  return result;
});

// RFC 9207: our metadata promises iss, so an answer without it or with another one is refused before the code is sent.
async function mixedUp(config, back, checks) {
  const answers = [];
  for (const change of [(q) => q.delete('iss'), (q) => q.set('iss', 'https://elsewhere.example'), (q) => q.set('state', 'other')]) {
    const forged = new URL(back);
    change(forged.searchParams);
    answers.push(await refused(client.authorizationCodeGrant(config, forged, checks)));
  }
  return answers;
}
