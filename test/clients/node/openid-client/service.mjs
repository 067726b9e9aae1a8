// A service asks for its own token (client credentials).
import * as client from 'openid-client';
import { discover } from './setup.mjs';
import { main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const config = await discover(p);
  const tokens = await client.clientCredentialsGrant(config, { scope: p.scope, resource: p.resource });
  const greedy = await refused(client.clientCredentialsGrant(config, { scope: 'todos.write' }));
  return { tokens, greedy };
});
