/** When this daemon's certificate ends. */
import type { LiveCertificates } from '../tls/live';
import type { Meters } from './meters';

/** @param live null: it has none, and there is no sample */
export function certificateMetric(meters: Meters, live: () => LiveCertificates | null): void {
  meters.gauges(
    'holdfast_certificate_expiry_timestamp_seconds',
    'Unix time at which the certificate of this daemon ends to be valid.',
    ['certificate'],
    () => {
      const certificates = live();
      if (certificates === null) return [];
      const value = certificates.validity.notAfterMs / 1000;
      return [{ labels: { certificate: certificates.name }, value }];
    },
  );
}
