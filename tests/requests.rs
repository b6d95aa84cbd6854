//! Request traces: every format from invented rows, the measured files to their published totals, exact sentences for broken
//! ones. Layouts and traps as found in the published files.

use crate::shared::shared;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::{Path, PathBuf};
use tollway::engine::Seed;
use tollway::serving::{Replay, TraceSection};
use tollway::trace::{Dropped, Request, TraceError};
use tollway::units::{SimTime, Span, Tokens};

const SEED: Seed = Seed { seed: 5, replication: 0 };

/// `text` in a file named `name` of a fresh folder.
fn file(name: &str, text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a new file");
    (folder, path)
}

/// Reads `path` as the section says: `azure2023 = { … }`, without the path.
fn read(path: &Path, section: &str) -> Result<Replay, TraceError> {
    let section = section.replacen('{', "{ path = '',", 1).replace(", }", " }");
    let section: TraceSection = toml::from_str(&section).unwrap_or_else(|error| panic!("{section}: {error}"));
    section.read(path, "chat", SEED)
}

fn requests(replay: &Replay) -> Vec<Request> {
    let mut cursor = replay.trace.cursor();
    (0..replay.trace.kept).map_while(|index| cursor.get(index)).collect()
}

fn request(nanos: u64, prompt: u32, output: u32) -> Request {
    Request { at: SimTime::from_nanos(nanos), prompt, output }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// What its key is, a file of invented rows, and the requests in it: nanoseconds from the first row, prompt, output.
type Case = (&'static str, &'static str, &'static [(u64, u32, u32)]);

/// One small file for each format; each holds a request without output, which is dropped.
const FILES: &[Case] = &[
    (
        // CRLF, seven decimals, no end to the last line.
        "azure2023",
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2031-02-28 23:59:59.9999999,100,10\r\n2031-03-01 00:00:00,7,0\r\n2031-03-01 00:00:02.0000001,8,1",
        &[(0, 100, 10), (2_000_000_200, 8, 1)],
    ),
    (
        // Decimals and none, mixed in one file.
        "azure2024",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2031-05-12 00:00:00+00:00,100,10\n2031-05-12 00:00:00.009930+00:00,9,0\n2031-05-12 00:00:01.250000+00:00,8,1\n",
        &[(0, 100, 10), (1_250_000_000, 8, 1)],
    ),
    (
        "azure_lmm2025",
        "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2031-10-15T12:00:00.269Z,1,100,10\n2031-10-15T12:00:01Z,0,9,0\n2031-10-15T12:00:01.269Z,0,8,1\n",
        &[(0, 100, 10), (1_000_000_000, 8, 1)],
    ),
    (
        "burstgpt",
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,M,100,10,110,API log\n6,M,9,0,9,API log\n9,M,8,1,9,Conversation log\n",
        &[(0, 100, 10), (4_000_000_000, 8, 1)],
    ),
    (
        // Version 3: two columns inserted, sessions in conversations only.
        "burstgpt",
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,,0.5,M,100,10,110,API log\n6,12,1.5,M,9,0,9,Conversation log\n9,12,0.1,M,8,1,9,Conversation log\n",
        &[(0, 100, 10), (4_000_000_000, 8, 1)],
    ),
    (
        "mooncake",
        "{\"timestamp\": 3000, \"input_length\": 513, \"output_length\": 10, \"hash_ids\": [0, 1]}\n{\"timestamp\": 3000, \"input_length\": 9, \"output_length\": 0, \"hash_ids\": [2]}\n{\"timestamp\": 6000, \"input_length\": 8, \"output_length\": 1, \"hash_ids\": [0]}\n",
        &[(0, 513, 10), (3_000_000_000, 8, 1)],
    ),
    (
        "bailian",
        "{\"chat_id\": 4, \"parent_chat_id\": -1, \"timestamp\": 61.5, \"input_length\": 33, \"output_length\": 10, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [9, 8, 7]}\n{\"chat_id\": 5, \"parent_chat_id\": 4, \"timestamp\": 62, \"input_length\": 9, \"output_length\": 0, \"type\": \"text\", \"turn\": 2, \"hash_ids\": [9]}\n{\"chat_id\": 6, \"parent_chat_id\": 5, \"timestamp\": 62.25, \"input_length\": 8, \"output_length\": 1, \"type\": \"text\", \"turn\": 3, \"hash_ids\": [9]}\n",
        &[(0, 33, 10), (750_000_000, 8, 1)],
    ),
    (
        "vidur",
        "arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,100,10\n0.5,9,0\n1.25,8,1\n",
        &[(0, 100, 10), (1_000_000_000, 8, 1)],
    ),
    (
        "splitwise",
        "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n0,2,0,0.125,1,100,10\n1,2,0,0.25,1,9,0\n2,2,0,1.125,1,8,1\n",
        &[(0, 100, 10), (1_000_000_000, 8, 1)],
    ),
    (
        "llmservingsim",
        "{\"input_toks\": 100, \"output_toks\": 10, \"arrival_time_ns\": 7}\n{\"input_toks\": 9, \"output_toks\": 0, \"arrival_time_ns\": 8}\n{\"input_toks\": 8, \"output_toks\": 1, \"arrival_time_ns\": 1000000007}\n",
        &[(0, 100, 10), (1_000_000_000, 8, 1)],
    ),
    (
        "vllm_bench",
        "{\"request_id\": \"a\", \"input_toks\": 100, \"output_toks\": 10, \"arrival_time\": 1777142838.338653, \"queued_ts\": 1.0, \"scheduled_ts\": 1.0, \"first_token_ts\": 1.5, \"last_token_ts\": 2.0}\n{\"request_id\": \"b\", \"input_toks\": 9, \"output_toks\": 0, \"arrival_time\": 1777142838.5, \"queued_ts\": 1.0}\n{\"request_id\": \"c\", \"input_toks\": 8, \"output_toks\": 1, \"arrival_time\": 1777142839.338653, \"queued_ts\": 2.0}\n",
        &[(0, 100, 10), (1_000_000_000, 8, 1)],
    ),
];

#[test]
fn every_format_is_read_named_recognised_and_packed() {
    for (format, text, expected) in FILES {
        let expected: Vec<Request> = expected.iter().map(|&(at, prompt, output)| request(at, prompt, output)).collect();
        let (_folder, plain) = file("trace", text);
        let (_packed_folder, packed) = file("trace.gz", gzip(text));
        for (path, key) in [(&plain, *format), (&plain, "auto"), (&packed, *format), (&packed, "auto")] {
            let replay = read(path, &format!("{key} = {{ }}")).unwrap_or_else(|error| panic!("{format}: {error}"));
            assert_eq!(replay.format.name(), *format, "{text}");
            assert_eq!(requests(&replay), expected, "{format}");
            let trace = &replay.trace;
            assert_eq!((trace.rows_read, trace.kept), (3, 2), "{format}");
            assert_eq!(trace.dropped, Dropped { no_output: 1, ..Dropped::default() }, "{format}");
            assert_eq!(
                replay.hash,
                blake3::hash(&std::fs::read(path).unwrap()),
                "{format}: of the file as it lies there"
            );
        }
    }
}

#[test]
fn sessions_and_prefixes_are_kept() {
    let of = |format: &str, place: usize| {
        let text = FILES.iter().filter(|case| case.0 == format).nth(place).unwrap().1;
        let (_folder, path) = file("trace", text);
        read(&path, "auto = { }").unwrap().trace
    };
    let third = of("burstgpt", 1);
    assert_eq!(third.session(1), Some(12));
    let chats = of("bailian", 0);
    assert_eq!((chats.session(0), chats.session(1)), (Some(4), Some(4)), "a chat belongs to its root");
    assert_eq!((chats.blocks(0), chats.blocks(1)), (&[9, 8, 7][..], &[9][..]));
    assert_eq!(of("mooncake", 0).blocks(0), [0, 1]);
    // Token ids, made into chained hashes of 16: equal up to where the prompts differ.
    let ids = |change: usize| {
        let ids: Vec<usize> = (0..50).map(|token| if token == change { 999 } else { token }).collect();
        format!("{{\"input_toks\": 50, \"output_toks\": 2, \"arrival_time_ns\": 0, \"input_tok_ids\": {ids:?}}}\n")
    };
    let (_folder, path) = file("ids.jsonl", [ids(99), ids(20), ids(99)].concat());
    let trace = read(&path, "llmservingsim = { }").unwrap().trace;
    assert_eq!(trace.blocks(0).len(), 3, "full blocks only");
    assert_eq!(trace.blocks(0), trace.blocks(2));
    let equal: Vec<bool> = trace.blocks(0).iter().zip(trace.blocks(1)).map(|(one, other)| one == other).collect();
    assert_eq!(equal, [true, false, false]);
}

#[test]
fn any_table_is_read_with_a_column_map() {
    let (_folder, path) = file("own.csv", "# invented\nwhen,who,in,out\n1000,a,5,6\n1500,b,7.0,8\n");
    let columns = "time = 'when', unit = 'ms', prompt = 'in', output = 'out', session = 'who'";
    let replay = read(&path, &format!("csv = {{ columns = {{ {columns} }} }}")).unwrap();
    assert_eq!(requests(&replay), [request(0, 5, 6), request(500_000_000, 7, 8)]);
    assert_ne!(replay.trace.session(0), replay.trace.session(1));
    let (_folder, path) = file("own.csv", "5,6,2031-01-01 00:00:00\n7,8,2031-01-01T00:00:01Z\n");
    let columns = "header = false, time = '3', unit = 'date', prompt = '1', output = '2'";
    let replay = read(&path, &format!("csv = {{ columns = {{ {columns} }} }}")).unwrap();
    assert_eq!(requests(&replay), [request(0, 5, 6), request(1_000_000_000, 7, 8)]);
}

#[test]
fn a_stretch_of_a_trace_is_replayed_faster_or_thinner() {
    let rows: String = (0..1_000).map(|second| format!("{second},1,{}\n", second + 1)).collect();
    let (_folder, path) = file("trace.csv", format!("arrived_at,num_prefill_tokens,num_decode_tokens\n{rows}"));
    let window = read(&path, "vidur = { from = '100 s', length = '200 s', speed = 4 }").unwrap();
    assert_eq!(window.trace.dropped, Dropped { outside: 800, ..Dropped::default() });
    let found = requests(&window);
    assert_eq!((found[0], found[199]), (request(0, 1, 101), request(199 * 250_000_000, 1, 300)));
    let kept = |share: &str| -> Vec<Request> {
        let replay = read(&path, &format!("vidur = {{ share = {share} }}")).unwrap();
        assert_eq!(replay.trace.dropped.thinned, 1_000 - replay.trace.kept);
        requests(&replay)
    };
    let (third, half) = (kept("0.3"), kept("0.5"));
    // Five standard deviations of 1,000 draws.
    assert!(third.len().abs_diff(300) < 73 && half.len().abs_diff(500) < 79, "{} and {}", third.len(), half.len());
    assert!(third.iter().all(|request| half.contains(request)), "a larger share keeps what a smaller one does");
}

#[test]
fn ticks_are_spread_only_where_asked() {
    let ticks = [0, 0, 0, 3_000, 3_000, 6_000, 6_000, 6_000, 6_000];
    let object = |(index, at): (usize, &i32)| {
        format!("{{\"timestamp\": {at}, \"input_length\": {}, \"output_length\": 1, \"hash_ids\": [0]}}\n", index + 1)
    };
    let (_folder, path) = file("ticks.jsonl", ticks.iter().enumerate().map(object).collect::<String>());
    let exact = requests(&read(&path, "mooncake = { }").unwrap());
    assert!(
        exact.iter().zip(ticks).all(|(request, at)| request.at == SimTime::ZERO + Span::from_secs(at as u64 / 1_000))
    );
    let spread = requests(&read(&path, "mooncake = { spread_ticks = true }").unwrap());
    let mut last = SimTime::ZERO;
    for ((request, exact), tick) in spread.iter().zip(&exact).zip(ticks) {
        let from = SimTime::ZERO + Span::from_secs(tick as u64 / 1_000);
        assert!(from <= request.at && request.at < from + Span::from_secs(3), "{request:?} in the tick of {tick} ms");
        assert!(last <= request.at && request.prompt == exact.prompt, "in the file's order");
        last = request.at;
    }
    assert!(spread.windows(2).all(|pair| pair[0].at < pair[1].at), "no two at one instant");
}

#[test]
fn lengths_without_times_come_at_a_rate() {
    let rows: String = (0..20_000).map(|row| format!("{},5,{},0.2\n", row + 1, row + 6)).collect();
    let text = format!("num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n{rows}");
    let (_folder, path) = file("lengths.csv", text);
    let replay = read(&path, "vidur = { rate = '8 /s' }").unwrap();
    let rate = replay.trace.kept as f64 / replay.trace.span.as_secs_f64();
    // Five standard errors of 20,000 exponential gaps.
    assert!((rate / 8.0 - 1.0).abs() < 0.036, "{rate} a second");
    let message = |section: &str| read(&path, section).unwrap_err().to_string();
    assert!(message("vidur = { }").ends_with(
        "lengths.csv: found lengths without arrival times, expected a `rate` beside its `path`, at which its requests come"
    ));
    let (_folder, timed) = file("trace.csv", FILES[7].1);
    let both = read(&timed, "vidur = { rate = '8 /s' }").unwrap_err().to_string();
    assert!(both.ends_with("found arrival times, expected `speed` instead of `rate` beside its `path`"), "{both}");
}

#[test]
fn a_broken_trace_is_named_by_line_and_column() {
    const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    let time = "a time without zone such as 2023-11-16 18:15:46.6805900";
    let none = "expected at least one row with prompt and output tokens";
    let azure = |rows: &str| format!("{HEADER}{rows}");
    let mooncake = "expected an object with timestamp (ms), input_length, output_length and hash_ids";
    let cases = [
        ("azure2023", String::new(), "t: found an empty file, expected a header TIMESTAMP,ContextTokens,GeneratedTokens".into()),
        ("auto", String::new(), "t: found an empty file, expected a header and rows of requests".into()),
        ("azure2023", azure(""), format!("t: found 0 rows and no request to serve, {none}")),
        (
            "azure2023",
            "2031-01-01 00:00:00,1,1\r\n".into(),
            "t:1: found the header 2031-01-01 00:00:00,1,1, expected a column TIMESTAMP".into(),
        ),
        (
            "azure2023",
            "TIMESTAMP,ContextTokens\r\n2031-01-01 00:00:00,1\r\n".into(),
            "t:1: found the header TIMESTAMP,ContextTokens, expected a column GeneratedTokens".into(),
        ),
        (
            "auto",
            "a,b\n1,2\n".into(),
            "t:1: found the header a,b, expected the header of a known format (`tollway list formats` names them), or a column map (`csv = { … }`)".into(),
        ),
        (
            "azure2023",
            azure("2031-01-01 00:00:01,1,1\r\n2031-01-01 00:00:00,1,1\r\n"),
            "t:3: column TIMESTAMP: found a time 1 s before the row above, expected rows sorted by time".into(),
        ),
        ("azure2023", azure("yesterday,1,1\r\n"), format!("t:2: column TIMESTAMP: found \"yesterday\", expected {time}")),
        (
            "azure2023",
            azure("2031-01-01 00:00:00.5+00:00,1,1\r\n"),
            format!("t:2: column TIMESTAMP: found \"2031-01-01 00:00:00.5+00:00\", expected {time}"),
        ),
        (
            "auto",
            azure("2031-01-01 00:00:00.5,1,1\n2031-01-01 00:00:00.5+00:00,1,1\r\n"),
            format!("t:3: column TIMESTAMP: found \"2031-01-01 00:00:00.5+00:00\", expected {time}"),
        ),
        (
            "azure2023",
            azure("2031-02-30 00:00:00.5,1,1\r\n"),
            format!("t:2: column TIMESTAMP: found \"2031-02-30 00:00:00.5\", expected {time}"),
        ),
        (
            "azure2023",
            azure("2031-01-01 00:00:00,1,1\r\n2031-01-01 00:00:00,-3,1\r\n"),
            "t:3: column ContextTokens: found \"-3\", expected a whole number of tokens".into(),
        ),
        (
            "azure2023",
            azure("2031-01-01 00:00:00,1\r\n"),
            "t:2: column GeneratedTokens: found a row of 2 cells, expected a value".into(),
        ),
        ("azure2023", azure("2031-01-01 00:00:00,1,0\r\n"), format!("t: found 1 rows and no request to serve: 1 without output, {none}")),
        ("burstgpt", FILES[3].1.replace("\n6,", "\nsix,"), "t:3: column Timestamp: found \"six\", expected a number".into()),
        ("mooncake", "\n{\"timestamp\": 0}\n".into(), format!("t:2: found missing field `input_length` at character 16, {mooncake}")),
        (
            "auto",
            "{\"session_id\": 1, \"arrival_time_ns\": 0, \"sub_requests\": []}\n".into(),
            "t:1: found sub_requests: calls of which each waits for the one before, expected one request a line, with its own time of arrival".into(),
        ),
        ("auto", "{\"timestamp\": 0}\n".into(), "t:1: found the keys timestamp, expected the keys of a known format (`tollway list formats` names them)".into()),
        ("auto", "{\"timestamp\": 0\n".into(), "t:1: found EOF while parsing an object at line 1 column 15, expected one JSON object a line".into()),
        (
            "mooncake",
            "{\"timestamp\": 0, \"input_length\": 513, \"output_length\": 1, \"hash_ids\": [1]}\n".into(),
            "t:1: column hash_ids: found 1 hashes for 513 tokens, expected 2, one for each 512 tokens".into(),
        ),
        (
            "mooncake",
            "{\"timestamp\": \"0\", \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1]}\n".into(),
            "t:1: column timestamp: found \"0\", expected a number".into(),
        ),
    ];
    for (format, text, expected) in cases {
        let (folder, path) = file("t", &text);
        let message = read(&path, &format!("{format} = {{ }}")).expect_err(&text).to_string();
        assert_eq!(message.replace(&format!("{}/", folder.path().display()), ""), expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = read(&folder.path().join("none.csv"), "auto = { }").unwrap_err().to_string();
    assert!(missing.contains("none.csv: found No such file"), "{missing}");
    let is_folder = read(folder.path(), "auto = { }").unwrap_err().to_string();
    assert!(is_folder.ends_with(": found a folder, expected a file"), "{is_folder}");
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let (_folder, path) = file("trace.csv", [header.as_bytes(), b"2031-01-01 00:00:00,\xff,1\n"].concat());
    let not_text = read(&path, "azure2023 = { }").unwrap_err();
    assert_eq!((not_text.line, not_text.found.as_str()), (Some(2), "bytes that are not UTF-8"));
    let mut cut_off = gzip(&FILES[0].1.repeat(50));
    cut_off.truncate(cut_off.len() / 2);
    let (_folder, path) = file("cut.csv.gz", cut_off);
    assert!(read(&path, "auto = { }").is_err(), "half of a packed file is no file");
}

#[test]
fn the_conversation_trace_is_read_whole() {
    let Some(path) = shared("traces/AzureLLMInferenceTrace_conv.csv") else { return };
    // Counted from the files by an independent script.
    let replay = read(&path, "auto = { }").unwrap();
    let trace = &replay.trace;
    assert_eq!((trace.rows_read, trace.kept, trace.dropped), (19_366, 19_366, Dropped::default()));
    assert_eq!(trace.prompt_tokens, Tokens::new(22_361_870));
    assert_eq!(trace.output_tokens, Tokens::new(4_088_665));
    assert_eq!(trace.span, Span::from_nanos(3_501_721_937_000));
    assert_eq!(requests(&replay)[..2], [request(0, 374, 44), request(4_314_579_000, 396, 109)]);
}

#[test]
fn the_measured_traces_have_their_published_rows() {
    // Counted from the files by an independent script.
    if let Some(path) = shared("traces/mooncake_conversation_trace.jsonl.gz") {
        let trace = read(&path, "auto = { }").unwrap().trace;
        assert_eq!((trace.rows_read, trace.kept), (12_031, 12_031));
        assert_eq!((0..12_031).map(|index| trace.blocks(index).len()).sum::<usize>(), 288_500);
        let mut cursor = trace.cursor();
        let full: u32 = (0..12_031).map(|index| cursor.get(index).unwrap().prompt / 512).sum();
        assert_eq!(full, 276_491);
        let mean = trace.prompt_tokens.count() / trace.kept;
        assert_eq!(mean, 12_035);
    }
    if let Some(path) = shared("traces/vidur_arxiv_summarization_lengths.csv.gz") {
        let trace = read(&path, "auto = { rate = '1 /s' }").unwrap().trace;
        assert_eq!(trace.rows_read, 28_257);
        assert_eq!(trace.prompt_tokens.count() / trace.kept, 2_588);
        assert_eq!(trace.output_tokens.count() / trace.kept, 291);
    }
    if let Some(path) = shared("traces/vllm_bench_rtxpro6000_llama3.1-8b_requests.jsonl") {
        let trace = read(&path, "auto = { }").unwrap().trace;
        assert_eq!((trace.kept, trace.prompt_tokens.count(), trace.output_tokens.count()), (300, 257_239, 195_753));
        assert!((trace.span.as_secs_f64() - 29.1).abs() < 0.15, "{}", trace.span);
    }
}
