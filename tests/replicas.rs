//! What replicas do beyond continuous batching, through a whole cell: prefix caches against published replays and the like.

use super::serving::{API, MILLISECOND, plan, run};
use std::path::Path;
use tollway::ledger::{Count, PrefixFacts};
use tollway::serving::*;
use tollway::trace::{Layout, Request, RequestReader, RequestTrace, Row, TraceBuilder};
use tollway::units::{Ratio, Share, SimTime, Span};

/// Mooncake's conversations, one after the other, each of one output token.
fn conversations() -> Option<RequestTrace> {
    let name = "mooncake_conversation_trace.jsonl.gz";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces").join(name);
    if !path.exists() {
        println!("skipped: {name} is not in ../shared/data/traces");
        return None;
    }
    let mut reader = RequestReader::open(&path, &Layout::Auto).unwrap();
    let mut builder = TraceBuilder::with_blocks_of(reader.format().block_tokens());
    let mut at = SimTime::ZERO;
    while let Some(row) = reader.next().unwrap() {
        at += Span::SECOND;
        builder.push(&Row { at, output: 1, ..row }).unwrap();
    }
    Some(builder.finish(reader.rows_read(), reader.dropped()).unwrap())
}

fn cached(requests: &RequestTrace, kv_tokens: u64) -> PrefixFacts {
    let options = ReplicaOptions { prefix_cache: Some(PrefixCacheSection::default()), ..ReplicaOptions::default() };
    let arrivals = ArrivalPlan::Trace(requests.clone());
    let plan = ServicePlan { options, arrivals, kv_tokens, token_budget: 1 << 20, ..plan(MILLISECOND, 16, Vec::new()) };
    let (book, facts) = run(plan, 1, 20_000);
    assert_eq!(book.counted(Count::Completed), requests.kept);
    let facts = facts.prefix.unwrap();
    assert_eq!(facts.cached_tokens + facts.computed_tokens, requests.prompt_tokens.count());
    facts
}

/// Mooncake's conversations (FAST '25): 38.2 % of the blocks that prompts fill can be found, 36.6 % of all; 50 million tokens
/// find 99.2 % of that. The counts are those of our own replay with a dictionary, in which blocks that prompts fill are kept, the
/// last token of each prompt is computed, and a prompt's last blocks are touched first. With 3 million tokens that is 38.5 % of the
/// maximum. `trace inspect`, as published, keeps part-filled blocks too, which take room and are seldom found: 37.0 %.
#[test]
fn a_replica_finds_mooncakes_prefixes_as_published() {
    let Some(requests) = conversations() else { return };
    let infinite = cached(&requests, 200_000_000);
    assert_eq!((infinite.blocks, infinite.full_blocks, infinite.hit_blocks), (288_500, 276_491, 105_592));
    // The dictionary finds 40,644: here the part-filled block of a running prompt takes room while it runs.
    let [three, fifty] = [3_000_000, 50_000_000].map(|tokens| cached(&requests, tokens).hit_blocks);
    assert_eq!((three, fifty), (40_642, 104_926));
    let share = |part: u64, of: u64| 100.0 * part as f64 / of as f64;
    let found = [
        (share(infinite.hit_blocks, infinite.full_blocks), 38.2),
        (share(infinite.hit_blocks, infinite.blocks), 36.6),
        (share(fifty, infinite.hit_blocks), 99.2),
        (share(three, infinite.hit_blocks), 38.5),
    ];
    for (found, expected) in found {
        assert!((found - expected).abs() < 0.2, "{found:.2} %, expected {expected} %");
    }
}

/// When each request of a lone replica with steps of a millisecond has its first and its last token, in milliseconds.
fn milliseconds(options: ReplicaOptions, requests: &[(u64, u32, u32)]) -> Vec<(u64, u64)> {
    let requests = requests.iter().map(|&(at, prompt, output)| {
        let at = SimTime::from_nanos(at * 1_000_000);
        Request { at, prompt, output }
    });
    let plan = plan(MILLISECOND, 64, requests.collect());
    let plan = ServicePlan { options, record: Some(Share::new(1.0)), ..plan };
    let (book, _) = run(plan, 1, 60);
    let mut times = Vec::new();
    for log in book.requests() {
        log.for_each::<std::io::Error>(|request| {
            let at = |span| (request.arrived + span).since(SimTime::ZERO + API).nanos() / 1_000_000;
            times.push((at(request.ttft), at(request.e2e)));
            Ok(())
        })
        .unwrap();
    }
    times.sort_unstable();
    times
}

#[test]
fn prompts_go_first_or_are_mixed_in() {
    // A answers from 1 ms on; at 2 ms come 3,000 tokens of B. Mixed in, they take two steps, of 2,047 and 953 tokens, and A goes
    // on; first, they are one step, in which A pauses.
    let requests = [(0, 10, 6), (2, 3_000, 2)];
    let mixed = milliseconds(ReplicaOptions::default(), &requests);
    assert_eq!(mixed, [(1, 6), (4, 5)]);
    let first = ReplicaOptions { prefill: Prefill::First {}, ..ReplicaOptions::default() };
    assert_eq!(milliseconds(first, &requests), [(1, 7), (3, 4)]);
}

#[test]
fn drafts_give_the_mean_of_their_acceptance() {
    let with = |acceptance, cost| {
        let drafts = Speculation { acceptance: Share::new(acceptance), draft: 4, cost: Ratio::new(cost) };
        ReplicaOptions { speculation: Some(drafts), ..ReplicaOptions::default() }
    };
    // The prompt's step of a millisecond gives the first token; at an acceptance of 1, each step gives five more.
    assert_eq!(milliseconds(with(1.0, 0.0), &[(0, 10, 11)]), [(1, 3)]);
    assert_eq!(milliseconds(with(1.0, 0.0), &[(0, 10, 12)]), [(1, 4)]);
    // (1 - 0.8^5) / 0.2 = 3.3616: 336 tokens are 100 steps, 337 are 101.
    assert_eq!(milliseconds(with(0.8, 0.0), &[(0, 10, 337)]), [(1, 101)]);
    assert_eq!(milliseconds(with(0.8, 0.0), &[(0, 10, 338)]), [(1, 102)]);
    // Four drafts of a quarter of a step each make it twice as long.
    assert_eq!(milliseconds(with(0.8, 0.25), &[(0, 10, 337)]), [(1, 201)]);
}
