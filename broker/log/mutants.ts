/**
 * Deliberate bugs, for one purpose: to show that the simulation finds them (faults.md §6, "no test that cannot fail").
 * Only tests can switch one on; the set is empty in every real process.
 */
export const mutantNames = [
  'ack-before-durable',
  'ack-out-of-order',
  'any-412-is-success',
  'skip-seal',
  'forget-producer-state-on-recovery',
  'reuse-node-epoch',
  'collect-too-early',
  'count-handover-early',
  'move-to-fenced',
  'drop-hold-on-move',
  'settle-move-by-read',
  'own-by-node',
  'take-over-without-claim',
  'pointer-in-spite-of-claim',
  'checkpoint-of-another-epoch',
  'collect-on-stale-holds',
  'drop-hold-without-comparing',
  'forget-unsettled-handover',
  'collect-seals',
  'send-other-bytes',
] as const;

export type Mutant = (typeof mutantNames)[number];
export type Mutants = ReadonlySet<Mutant>;
