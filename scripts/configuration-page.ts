/**
 * docs/configuration.md from the tables of settings, so that the page is never older than the code.
 * `make docs` writes it; configuration-page.test.ts fails when it is stale.
 */
import { brokerSettings, type BrokerSetting } from '../broker/broker-settings.ts';
import { inertBrokerSettings, refusedBrokerPrefixes } from '../broker/inert-settings.ts';
import { topicSettings } from '../broker/topic-settings.ts';

export function configurationPage(): string {
  return `# Configuration

This page is written by \`make docs\` from \`broker/broker-settings.ts\` and \`broker/topic-settings.ts\`.

A broker reads its settings from a file in the style of Kafka's \`server.properties\` (\`automq broker --config FILE\`), from
environment variables (\`AUTOMQ_NODE_ID\` is \`node.id\`), and from flags (\`--node.id=3\`); of one setting the flag wins, then the
environment, then the file. Names are Kafka's where Kafka has one. An unknown name or a bad value stops the start with the
name, the value, where it came from and what is allowed. \`automq broker --check-config\` only looks.

Memory: \`log.cache.bytes\`, \`block.cache.bytes\`, \`upload.max.bytes\`, \`queued.max.request.bytes\`, \`queued.max.response.bytes\` and
V8's heap must fit into 85 % of the container (or machine). Those that nobody set shrink to fit; when that is not enough, the
start is refused with the sum.

## Broker

| setting | default | allowed | |
| --- | --- | --- | --- |
${Object.entries<BrokerSetting<unknown>>(brokerSettings)
  .map(([key, { default: fallback, type, doc, dynamic }]) =>
    row([code(key), code(fallback), type.allowed, `${doc}${dynamic === 'cluster' ? ' May be changed while brokers run.' : ''}`]),
  )
  .join('\n')}

## Topics

Set per topic (\`kafka-configs --entity-type topics\`), or for all topics by the broker setting in the second column. “No effect”
means: accepted and listed, as Kafka does, but without meaning on shared storage. “Later” means: kept and listed, obeyed by a
later version.

| setting | default for all topics | default | allowed | |
| --- | --- | --- | --- | --- |
${Object.entries(topicSettings)
  .map(([key, { default: fallback, synonyms, type, doc, effect }]) =>
    row([code(key), synonyms.map((synonym) => code(synonym.key)).join(', '), code(fallback), type.allowed, `${effects[effect]}${doc}`]),
  )
  .join('\n')}

## Accepted without effect

These settings of Kafka may stay in a \`server.properties\`; the start warns about them:
${[...inertBrokerSettings].toSorted().map(code).join(', ')}.

## Refused

Names that begin with ${refusedBrokerPrefixes.map(code).join(', ')} are refused: what they promise is not kept yet, and
ignoring it would not be safe.
`;
}

const effects = { obeyed: '', planned: 'Later. ', inert: 'No effect. ' } as const;

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}
