// The device grant: a TV shows a code and asks until the person has agreed elsewhere. They begin only once the first
// poll was answered, so that authorization_pending is heard too.
import * as client from 'openid-client';
import { discover, use } from './setup.mjs';
import { agree, main } from '../lib/talk.mjs';

main(async (p) => {
  const config = await discover(p);
  const started = await client.initiateDeviceAuthorization(config, { scope: p.scope, resource: p.resource });
  const polls = [];
  config[client.customFetch] = async (url, options) => {
    const answer = await fetch(url, options);
    if (new URL(url).pathname === '/token') {
      polls.push((await answer.clone().json()).error ?? 'tokens');
      if (polls.length === 1) await agree(started.verification_uri_complete);
    }
    return answer;
  };
  const tokens = await client.pollDeviceAuthorizationGrant(config, started);
  return { ...await use(config, tokens), polls: polls.slice(0, 2) };
});
