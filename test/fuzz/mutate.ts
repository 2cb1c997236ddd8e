/** Damage to a frame: single bytes, lengths of all forms, cuts, repeats, pieces of another frame. Everything follows from the seed. */

/** A small generator of choices (mulberry32). */
export class Pick {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** 0 ≤ result < `end`. */
  below(end: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  of<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }
}

const bytes = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
/** What a length or count may claim: int16, int32, compact; minimal, not minimal, too long. */
const lengths = ['7fff', '8000', 'fffe', 'ffff', '7fffffff', '80000000', 'fffffffe', 'ffffffff', '00000000', '00100000', '004c4b40'].concat([
  'ff7f',
  'ffff7f',
  'ffffff7f',
  'ffffffff07',
  'ffffffff0f',
  'ffffffff7f',
  '8080808000',
  '808080808000',
  'ffffffffffffffff01',
  '8000',
  '8100',
]);
const lengthBytes = lengths.map((hex) => Buffer.from(hex, 'hex'));

/** A damaged copy of `frame`, up to three times over; `other` lends pieces. */
export function mutate(frame: Buffer, pick: Pick, other: Buffer): Buffer {
  let result: Buffer = Buffer.from(frame);
  for (let left = 1 + pick.below(3); left > 0; left--) result = mutateOnce(result, pick, other);
  return result;
}

function mutateOnce(frame: Buffer, pick: Pick, other: Buffer): Buffer {
  const at = pick.below(frame.length + 1);
  switch (pick.below(8)) {
    case 0:
      return overwrite(frame, at, Buffer.of((frame[at] ?? 0) ^ (1 << pick.below(8))));
    case 1:
      return overwrite(frame, at, Buffer.of(pick.of(bytes)));
    case 2:
      return overwrite(frame, at, pick.of(lengthBytes));
    case 3:
      return Buffer.concat([frame.subarray(0, at), pick.of(lengthBytes), frame.subarray(at)]);
    case 4:
      return frame.subarray(0, at);
    case 5:
      return Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1 + pick.below(8))]);
    case 6:
      return Buffer.concat([frame.subarray(0, at), other.subarray(pick.below(other.length + 1))]);
    default:
      return Buffer.concat([frame.subarray(0, at), frame.subarray(pick.below(at + 1))]);
  }
}

function overwrite(frame: Buffer, at: number, piece: Buffer): Buffer {
  piece.copy(frame, at);
  return frame;
}
