/**
 * Ends with 0 when node_modules holds what package-lock.json asks for. Optional packages may be absent: they are
 * for other platforms.
 */
const path = require('node:path');

const root = path.join(__dirname, '../..');
const wanted = require(path.join(root, 'package-lock.json')).packages;
const installed = require(path.join(root, 'node_modules/.package-lock.json')).packages;

const differs = Object.keys(wanted)
  .filter((name) => name !== '')
  .some((name) =>
    installed[name] === undefined ? !wanted[name].optional : installed[name].version !== wanted[name].version,
  );
process.exit(differs ? 1 : 0);
