import { expect, test } from 'vitest';
import { SPAN_KIND, Span, toAttribute } from '../../src/telemetry/span.ts';
import { TestClock } from '../support/test-clock.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT_ID = 'b7ad6b7169203331';

function startSpan(parentSpanId?: string, state = '') {
  const clock = new TestClock();
  const ended: string[] = [];
  const span = new Span(
    {
      ...{ traceId: TRACE_ID, state, clock },
      wallOffsetMs: clock.date().getTime() - clock.now(),
      ended: (text) => void ended.push(text),
    },
    {
      parentSpanId,
      isParentRemote: parentSpanId !== undefined,
      name: 'POST /graphql',
      kind: SPAN_KIND.server,
    },
  );
  return { clock, span, ended: () => ended.map((text) => JSON.parse(text)) };
}

test('a span and one below it are as OTLP/JSON has them', () => {
  const { clock, span, ended } = startSpan(PARENT_ID, 'router=a"b');
  clock.advance(1.5);
  const child = span.child({
    name: 'query',
    kind: SPAN_KIND.internal,
    attributes: toAttribute('text', 'a') + toAttribute('whole', 2),
  });
  child.addEvent('waited', toAttribute('ms', 0.5));
  child.addLink({ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) }, toAttribute('is', true));
  clock.advance(0.25);
  child.add(toAttribute('none', undefined) + toAttribute('null', null));
  child.end(true);
  span.end();

  const begunAt = BigInt(Date.parse('2026-01-31T12:00:00.000Z')) * 1_000_000n;
  const at = (microseconds: bigint) => String(begunAt + microseconds * 1_000n);
  const common = { traceId: TRACE_ID, traceState: 'router=a"b' };
  expect(ended()).toEqual([
    {
      ...common,
      spanId: child.spanId,
      parentSpanId: span.spanId,
      flags: 0x101,
      name: 'query',
      kind: 1,
      startTimeUnixNano: at(1_500n),
      endTimeUnixNano: at(1_750n),
      attributes: [
        { key: 'text', value: { stringValue: 'a' } },
        { key: 'whole', value: { intValue: 2 } },
      ],
      events: [
        {
          name: 'waited',
          timeUnixNano: at(1_500n),
          attributes: [{ key: 'ms', value: { doubleValue: 0.5 } }],
        },
      ],
      droppedEventsCount: 0,
      links: [
        {
          traceId: 'c'.repeat(32),
          spanId: 'd'.repeat(16),
          flags: 0x101,
          attributes: [{ key: 'is', value: { boolValue: true } }],
        },
      ],
      droppedLinksCount: 0,
      status: { code: 2 },
    },
    {
      ...common,
      spanId: span.spanId,
      parentSpanId: PARENT_ID,
      flags: 0x301,
      name: 'POST /graphql',
      kind: 2,
      startTimeUnixNano: at(0n),
      endTimeUnixNano: at(1_750n),
      attributes: [],
      events: [],
      droppedEventsCount: 0,
      links: [],
      droppedLinksCount: 0,
      status: { code: 0 },
    },
  ]);
});

test('the first span of a trace has no parent, and no state', () => {
  const { span, ended } = startSpan();
  span.end();
  const [{ flags, ...rest }] = ended();
  expect([flags, 'parentSpanId' in rest, 'traceState' in rest]).toEqual([0x101, false, false]);
});

test.each(['"},{"', '\\', '\u0000\n\u2028', 'ä – 𝄞', ''])(
  'a text of a caller stays a text: %j',
  (text) => {
    const { span, ended } = startSpan();
    span.add(toAttribute('text', text));
    span.addEvent('status', toAttribute('text', text));
    span.end();
    const attributes = [{ key: 'text', value: { stringValue: text } }];
    expect(ended()).toMatchObject([{ attributes, events: [{ attributes }] }]);
  },
);

test('65: texts are cut at 256 characters; events beyond 64 and links beyond 32 are counted', () => {
  const { span, ended } = startSpan();
  span.add(toAttribute('text', 'x'.repeat(257)));
  for (let count = 0; count < 70; count += 1) span.addEvent('status', toAttribute('count', count));
  for (let count = 0; count < 40; count += 1) span.addLink(span, toAttribute('count', count));
  span.end();
  const [{ attributes, events, links, ...rest }] = ended();
  expect(attributes).toEqual([{ key: 'text', value: { stringValue: 'x'.repeat(256) } }]);
  expect([events.length, links.length]).toEqual([64, 32]);
  expect(rest).toMatchObject({ droppedEventsCount: 6, droppedLinksCount: 8 });
});
