/** Looks at a daemon's certificate files now and then, and warns before a certificate ends. */
import type { Logger } from '../log';
import { stateOf, WARN_DAYS } from './inventory';
import type { LiveCertificates } from './live';

const LOOK_MS = 60_000;
const DAY_MS = 86_400_000;

export interface CertificateWatch {
  /** Now, without waiting for the next look. Never rejects. */
  look(): Promise<void>;
  close(): void;
}

export function watchCertificates(
  live: LiveCertificates,
  log: Logger,
  wallMs: () => number = Date.now,
): CertificateWatch {
  let warnedMs = Number.NEGATIVE_INFINITY;
  let refusal = '';
  const warn = () => {
    const { notBeforeMs, notAfterMs } = live.validity;
    const state = stateOf(notBeforeMs, notAfterMs, wallMs());
    if (state === 'valid' || wallMs() - warnedMs < DAY_MS) return;
    warnedMs = wallMs();
    const fields = { certificate: live.name, notAfter: new Date(notAfterMs).toISOString() };
    if (state === 'expires soon') {
      log.warn(fields, `the certificate ends in less than ${WARN_DAYS} days: issue a new one (holdfast ca)`);
    } else log.error(fields, `the certificate is ${state}: nobody accepts it; issue a new one (holdfast ca)`);
  };
  const look = async () => {
    try {
      if (await live.reload()) {
        warnedMs = Number.NEGATIVE_INFINITY;
        const notAfter = new Date(live.validity.notAfterMs).toISOString();
        log.info({ certificate: live.name, notAfter }, 'new certificates are used from now on');
      }
      refusal = '';
    } catch (err) {
      // Files that are being replaced fit together again soon; told once when they do not.
      const reason = String(err);
      if (reason !== refusal)
        log.warn({ err }, 'new certificate files cannot be used: the old ones stay in use');
      refusal = reason;
    }
    warn();
  };
  warn();
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return { look, close: () => clearInterval(timer) };
}
