/** When this daemon's certificate ends. */
import { Gauge, type Registry } from 'prom-client';
import type { LiveCertificates } from '../tls/live';

/** @param live null: it has none, and there is no sample */
export function certificateMetric(registry: Registry, live: () => LiveCertificates | null): void {
  new Gauge({
    name: 'holdfast_certificate_expiry_timestamp_seconds',
    help: 'Unix time at which the certificate of this daemon ends to be valid.',
    labelNames: ['certificate'],
    registers: [registry],
    collect() {
      this.reset();
      const certificates = live();
      if (certificates === null) return;
      this.set({ certificate: certificates.name }, certificates.validity.notAfterMs / 1000);
    },
  });
}
