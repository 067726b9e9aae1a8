// AppAuth's files import each other without the ending .js, which bundlers supply and Node does not. This supplies it,
// inside AppAuth alone: `node --import ./appauth/resolve.mjs`.
import { register } from 'node:module';

const hook = `
export async function resolve(name, context, next) {
  const inside = context.parentURL?.includes('/node_modules/@openid/appauth/') && name.startsWith('.');
  if (!inside || name.endsWith('.js')) return next(name, context);
  return next(name + '.js', context).catch(() => next(name + '/index.js', context));
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
