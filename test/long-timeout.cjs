/** Suites that start servers and whole clusters: a test may take minutes before it counts as hung. */
jest.setTimeout(180_000);
