//! Pools for prompts and for answers, through whole cells: known answers, who waits for whom, failures of either side.

use super::serving::{API, MILLISECOND, cell, plan, poisson, run};
use tollway::engine::Process;
use tollway::fault::{FailureLaw, InitialAge};
use tollway::ledger::{Book, Count, Grid, PoolFacts, ServiceFacts, Use};
use tollway::serving::*;
use tollway::trace::Request;
use tollway::units::{Bytes, BytesPerSecond, GpuTime, PerSecond, Share, SimTime, Span};

const MS: u64 = 1_000_000;

/// A token's part of a cache is 10 kB; a cache takes 2 ms and 10 us a token.
fn pools(prefill: u32, decode: u32) -> ReplicaOptions {
    let (link, latency) = (BytesPerSecond::new(1e9), Span::from_nanos(2 * MS));
    let section = Pools { prefill, decode, link, latency, router: Router::LeastLoaded {} };
    let per_token = Bytes::new(10_000);
    ReplicaOptions { pools: Some(PoolPlan { section, per_token }), ..ReplicaOptions::default() }
}

/// Requests by milliseconds, prompt and output, on one replica for prompts and one that decodes, whose steps take a millisecond.
fn pair(kv_tokens: u64, requests: &[(u64, u32, u32)]) -> ServicePlan {
    let request =
        |&(at, prompt, output): &(u64, u32, u32)| Request { at: SimTime::from_nanos(at * MS), prompt, output };
    let plan = plan(MILLISECOND, 64, requests.iter().map(request).collect());
    ServicePlan { options: pools(1, 1), kv_tokens, record: Some(Share::new(1.0)), ..plan }
}

/// When each request had its first and its last token, in milliseconds.
fn milliseconds(book: &Book) -> Vec<(u64, u64)> {
    let mut times = Vec::new();
    for log in book.requests() {
        log.for_each::<std::io::Error>(|request| {
            let at = |span| (request.arrived + span).since(SimTime::ZERO + API).nanos() / MS;
            times.push((at(request.ttft), at(request.e2e)));
            Ok(())
        })
        .unwrap();
    }
    times.sort_unstable();
    times
}

fn between(facts: &ServiceFacts) -> PoolFacts {
    facts.pools.expect("it has pools")
}

#[test]
fn one_request_computes_travels_and_decodes() {
    let (book, facts) = run(pair(440_000, &[(0, 100, 5)]), 2, 60);
    // A step for the prompt and the first token; 100 tokens take 2 + 1 ms; four steps for the others.
    assert_eq!(milliseconds(&book), [(1, 8)]);
    let moved = between(&facts);
    assert_eq!((moved.fetched, moved.tokens.count(), moved.first), (1, 100, 1));
    assert_eq!((moved.travelled, moved.waited), (u128::from(3 * MS), 0));
    assert_eq!((book.counted(Count::PromptTokens), book.counted(Count::OutputTokens)), (100, 5));
    // Five steps work; for all else of a minute both stand by.
    let serving = GpuTime::new(1, Span::from_nanos(5 * MS));
    assert_eq!(book.spent(Use::Serving).time, serving);
    let both = GpuTime::new(2, Span::from_secs(60)).nanos();
    assert_eq!(book.spent(Use::WarmIdle).time.nanos(), both - serving.nanos());
}

#[test]
fn an_answer_of_one_token_never_leaves() {
    let (book, facts) = run(pair(440_000, &[(0, 100, 1)]), 2, 60);
    assert_eq!(milliseconds(&book), [(1, 1)]);
    assert_eq!(between(&facts), PoolFacts::default());
}

#[test]
fn caches_wait_where_they_were_computed_and_prompts_for_them() {
    // Ten blocks each; a prompt of 100 tokens takes seven, an answer of 20 one more.
    let (book, facts) = run(pair(160, &[(0, 100, 20), (0, 100, 20), (0, 100, 20)]), 2, 60);
    // The first: computed by 1, there at 4, 19 steps. The second prompt has room at 4, and its cache, computed by 5, at 23; it is
    // there at 26, and so on.
    assert_eq!(milliseconds(&book), [(1, 23), (5, 45), (27, 67)]);
    assert_eq!(between(&facts).waited, u128::from((18 + 18) * MS));
    assert_eq!(between(&facts).travelled, u128::from(9 * MS));
}

/// Some 5,000 requests of various lengths on eight replicas, of which three compute prompts, that fail every ten minutes each.
fn failing(on_failure: OnFailure) -> ServicePlan {
    let requests = poisson(5_000, Span::from_nanos(100 * MS), |stream| 1 + (300.0 * stream.uniform()) as u32);
    let prompt = |index: usize| 1 + (index * 7_919 % 1_500) as u32;
    let requests = requests.iter().enumerate().map(|(index, &request)| Request { prompt: prompt(index), ..request });
    let law = FailureLaw::Weibull { rate: PerSecond::new(1.0 / 600.0), shape: 1.0, initial_age: InitialAge::New };
    let step = StepModel { d_ms: 0.02, b_ms: 0.1, c_ms: 1e-4, ..MILLISECOND };
    let clientele = Clientele { on_failure, ..Clientele::default() };
    let plan = plan(step, 64, requests.collect());
    // 5 ms a token and 1,500 tokens: many caches are under way when something fails.
    let mut options = pools(3, 5);
    options.pools.iter_mut().for_each(|pools| pools.per_token = Bytes::new(500_000));
    ServicePlan { options, kv_tokens: 16_000, failures: law, clientele, ..plan }
}

#[test]
fn nothing_is_lost_when_either_side_fails() {
    let (book, facts) = run(failing(OnFailure::Restart), 8, 1_200);
    let moved = between(&facts);
    assert!(facts.replica_failures >= 8, "{} failures", facts.replica_failures);
    assert!(moved.lost_prefill > 0 && moved.lost_decode > 0, "{moved:?}");
    assert_eq!(moved.lost_prefill + moved.lost_decode, facts.restarted);
    // Who lost a cache was computed again: all have their answers, and more caches went than there are answers of several tokens.
    assert_eq!(book.counted(Count::Completed) + facts.in_flight, 5_000);
    assert_eq!(facts.in_flight, 0);
    assert!(moved.fetched > 4_900 && moved.first <= moved.fetched, "{moved:?}");
}

#[test]
fn connections_break_where_the_service_says_so() {
    let (book, facts) = run(failing(OnFailure::Fail), 8, 1_200);
    let (broken, completed) = (book.counted(Count::Failed), book.counted(Count::Completed));
    assert!(broken > 0 && facts.restarted == 0);
    assert_eq!((broken + completed, facts.in_flight), (5_000, 0));
}

/// Windows are cut wherever control asks: nobody may tell.
#[test]
fn windows_change_nothing() {
    let horizon = SimTime::ZERO + Span::from_secs(600);
    let whole = run(failing(OnFailure::Restart), 8, 600);
    let mut cut = cell(failing(OnFailure::Restart), 8, horizon);
    (1..=6_000).for_each(|tenth| {
        cut.run_until(SimTime::ZERO + Span::from_nanos(tenth * 100 * MS));
    });
    let (book, facts) = cut.close(horizon);
    let spent = |book: &Book| Use::ALL.map(|what| book.spent(what));
    assert_eq!(between(&facts), between(&whole.1));
    assert_eq!((spent(&book), book.latencies()), (spent(&whole.0), whole.0.latencies()));
    let bins = Grid { horizon, bin: Span::from_secs(60) }.bins();
    let counts = |book: &Book| (0..bins).map(|bin| book.counted_in(Count::OutputTokens, bin)).collect::<Vec<_>>();
    assert_eq!(counts(&book), counts(&whole.0));
}
