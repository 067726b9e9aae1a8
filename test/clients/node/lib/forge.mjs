/** A signed answer with one letter of its signature changed. */
export function broken(back) {
  const forged = new URL(back);
  const [header, claims, signature] = forged.searchParams.get('response').split('.');
  const other = (signature[9] === 'A' ? 'B' : 'A');
  forged.searchParams.set('response', [header, claims, signature.slice(0, 9) + other + signature.slice(10)].join('.'));
  return forged;
}
