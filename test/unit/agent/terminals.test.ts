/** On entries as CRIU 4.2 wrote them for a process in a terminal (pts/0) that also has a pipe. */
import { outsideTerminals, retypeDescriptors, terminalsToFiles } from '../../../agent/criu/terminals';
import { FileEntry } from '../../../proto/gen/criu/images';

const HEADERS = {
  files: '1943565438313056',
  descriptors: '1943565432372156',
  ttyInfo: '1943565436304559',
};

function image(header: string, ...entries: string[]): Buffer {
  const parts = entries.map((hex) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(hex.length / 2);
    return Buffer.concat([length, Buffer.from(hex, 'hex')]);
  });
  return Buffer.concat([Buffer.from(header, 'hex'), ...parts]);
}

const TTY_INFO = image(HEADERS.ttyInfo, '08ea0f100518002000280030293829408090024a00');
const TERMINAL = '080b10049a0113080410ea0f1802220a08001000180020002800';
const PIPE = '08021005920114080510dd974c1801220a08001000180020002800';
const RESOURCE = 'tty[8800:35]';

test('only a terminal that was found outside is replaced', () => {
  expect(outsideTerminals(TTY_INFO, ['pipe:[12]', RESOURCE])).toEqual(new Map([[2026, RESOURCE]]));
  expect(outsideTerminals(TTY_INFO, ['tty[8801:35]', 'tty[88:35]'])).toEqual(new Map());
});

test('a terminal becomes a file that CRIU can inherit, all else stays byte for byte', () => {
  const before = image(HEADERS.files, PIPE, TERMINAL);
  const { files, changed } = terminalsToFiles(before, new Map([[2026, RESOURCE]]));
  expect(changed).toEqual(new Set([4]));
  const [pipe, file] = entriesOf(files);
  expect(pipe).toBe(PIPE);
  expect(FileEntry.decode(Buffer.from(file ?? '', 'hex'))).toMatchObject({
    ...{ type: 1, id: 4, tty: undefined },
    reg: { id: 4, name: `/${RESOURCE}` },
  });
  // Id, flags O_RDWR, position 0 although it is zero, owner.
  expect(file).toContain('0804100218002a0a08001000180020002800');
  expect(terminalsToFiles(before, new Map())).toEqual({ files: before, changed: new Set() });
});

test('descriptors of a replaced terminal lead to a file', () => {
  const descriptors = ['08041000180b2000', '08041000180b2001', '08051000180220fb01'];
  const types = entriesOf(retypeDescriptors(image(HEADERS.descriptors, ...descriptors), new Set([4]))).map(
    (hex) => /18(..)/.exec(hex)?.[1],
  );
  expect(types).toEqual(['01', '01', '02']);
});

function entriesOf(bytes: Buffer): string[] {
  const found: string[] = [];
  for (let offset = 8; offset < bytes.length; ) {
    const end = offset + 4 + bytes.readUInt32LE(offset);
    found.push(bytes.subarray(offset + 4, end).toString('hex'));
    offset = end;
  }
  return found;
}
