/** The requests of classic groups, as one list for the server. */
import type { AnyHandler } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import { deleteGroups } from './delete-groups.ts';
import { describeGroups } from './describe-groups.ts';
import { findCoordinator } from './find-coordinator.ts';
import { heartbeat } from './heartbeat.ts';
import { joinGroup } from './join-group.ts';
import { leaveGroup } from './leave-group.ts';
import { listGroups } from './list-groups.ts';
import { offsetCommit } from './offset-commit.ts';
import { offsetDelete } from './offset-delete.ts';
import { offsetFetch } from './offset-fetch.ts';
import { syncGroup } from './sync-group.ts';

export function groupHandlers(groups: GroupCoordinator): readonly AnyHandler[] {
  return [
    offsetCommit(groups),
    offsetFetch(groups),
    findCoordinator(groups),
    joinGroup(groups),
    heartbeat(groups),
    leaveGroup(groups),
    syncGroup(groups),
    describeGroups(groups),
    listGroups(groups),
    deleteGroups(groups),
    offsetDelete(groups),
  ];
}
