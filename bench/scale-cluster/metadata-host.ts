/** The embedded metadata store in a process of its own, served as `automq up` serves it, so that its CPU and memory can be told from the brokers'. */
import { pathToFileURL } from 'node:url';
import { serveMetaStore } from '../../io/meta/remote/serve-meta-store.ts';
import { openMetaStore } from '../../io/meta/open-meta-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { tcpTransport } from '../../io/tcp-transport.ts';
import { winstonLogger } from '../../io/winston-logger.ts';

const [folder = '', port = '0'] = process.argv.slice(2);
const io = { clock: systemClock, random: systemRandom, logger: winstonLogger({ level: 'warn', format: 'pretty' }) };
const store = await openMetaStore({ url: pathToFileURL(folder).href }, io);
const server = await serveMetaStore(store, { ...io, host: '127.0.0.1', port: Number(port), identity: 'scale', transport: tcpTransport() });
process.once('SIGTERM', () => {
  void server
    .close()
    .then(() => store.close())
    .then(() => process.exit(0));
});
