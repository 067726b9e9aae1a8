// fetch with a client certificate. Node's own fetch shows none by itself, but takes a dispatcher of the undici package;
// this one needs no package.
import { request } from 'node:https';
import { text } from 'node:stream/consumers';

export const fetchShowing = (certificate) => (url, { method, headers, body }) => new Promise((resolve, reject) => {
  const sent = request(url, { ...certificate, method, headers }, async (answer) => {
    try {
      const content = await text(answer);
      resolve(new Response(content === '' ? null : content, { status: answer.statusCode, headers: answer.headers }));
    } catch (error) {
      reject(error);
    }
  });
  sent.once('error', reject);
  sent.end(body instanceof URLSearchParams ? body.toString() : body);
});
