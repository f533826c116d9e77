/** What is shown of a value that may hold a secret: URLs without their passwords. */

const USER_INFORMATION = /(\/\/[^/?#@\s:]*):[^/?#\s]*@/g;
const PARAMETER = /([?&;][^=&\s]*(?:password|secret|token|credential|access_?key)[^=&\s]*=)[^&\s]*/gi;

/** For messages, logs and listings. Pure. */
export function withoutSecrets(text: string): string {
  return text.replace(USER_INFORMATION, '$1:***@').replace(PARAMETER, '$1***');
}

export function hasSecret(text: string): boolean {
  return withoutSecrets(text) !== text;
}
