// How a script talks with the Go test that started it: one JSON value a line. The first line in is what it needs to
// know; `ask` writes a line and waits for the answer to it; what `main`'s function returns is the last line out. An
// error goes to stderr whole, and the exit code is 1.
import './webcrypto.mjs';
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function read() {
  const { value, done } = await lines.next();
  if (done) throw new Error('the test has closed stdin');
  return JSON.parse(value);
}

const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

async function ask(question) {
  write(question);
  return read();
}

/** Sends the person to an address; the answer is the address the browser came back with. */
export const browse = async (url) => new URL((await ask({ browse: String(url) })).url);

/** The same where the answer is posted: a Request, as a web framework would hand it over. */
export async function browsePost(url) {
  const back = await ask({ browse: String(url) });
  return new Request(back.url, {
    method: 'POST', body: back.body, headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

/** A person with a phone or a computer opens the verification address and agrees. */
export const agree = async (url) => { await ask({ agree: String(url) }); };

/** The id_token Google's SDK returns for our nonce. */
export const credential = async (nonce) => (await ask({ credential: nonce })).id_token;

export async function main(act) {
  try {
    write({ done: await act(await read()) });
    process.exit(0);
  } catch (error) {
    console.error(error, error.cause ?? '');
    process.exit(1);
  }
}

/** What a call was refused with; fails where it was not. */
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    if (error.code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE') { // a 401: the libraries read its header and leave the body
      return error.cause[0].parameters.error ?? (await error.response.json()).error;
    }
    return String(error.error ?? error.code ?? error.message);
  }
  throw new Error('this should have been refused');
}
