//! ServeGen's measured clients: archives and folders, what is dropped, what is wrong, and requests as measured.

use crate::shared::shared;
use std::path::{Path, PathBuf};
use tollway::engine::Seed;
use tollway::scenario;
use tollway::serving::Source;
use tollway::trace::{Request, ServeGen};
use tollway::units::{SimTime, Span};

const TRACE: &str = "0,2.0,1.0,Gamma,1,0.5\n600,0,0,,0,0\n1200,4,2.0,Weibull,0.6,0.2\n";
const LENGTHS: &str = r#"{"0": {"input_tokens": "{45: 0.25, 46: 0.75}", "output_tokens": "{0: 0.5, 7: 0.5}"},
    "1200": {"input_tokens": "{9: 1.0}", "output_tokens": "{}", "reason_ratio": "{0.5: 1.0}"}}"#;

/// A folder of two clients, the second without lengths.
fn folder(trace: &str, lengths: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("chunk-0-trace.csv", trace);
    write("chunk-0-dataset.json", lengths);
    write("chunk-12-trace.csv", "0,1,1,Gamma,1,1\n");
    write("README.md", "nothing of a client");
    folder
}

/// The same as a tar archive, as `tar` writes one.
fn archive(folder: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let content = std::fs::read(&path).unwrap();
        let mut header = [0_u8; 512];
        let name = format!("data/{}", path.file_name().unwrap().to_str().unwrap());
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[156] = b'0';
        archive.extend_from_slice(&header);
        archive.extend_from_slice(&content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1_024, 0);
    archive
}

#[test]
fn folders_and_archives_hold_the_same_clients() {
    let folder = folder(TRACE, LENGTHS);
    let read = ServeGen::read(folder.path()).unwrap();
    assert_eq!((read.windows_read, read.kept, read.silent, read.without_lengths), (4, 2, 1, 1));
    let client = &read.clients[0];
    assert_eq!((read.clients.len(), client.windows.len(), client.lengths.len()), (1, 3, 1));
    assert_eq!([0.1, 0.24, 0.26, 0.99].map(|u| client.lengths[0].prompt.at(u)), [45, 45, 46, 46]);
    assert_eq!(client.lengths[0].output.at(0.01), 7, "outputs of no token failed");
    let path = folder.path().join("all.tar");
    std::fs::write(&path, archive(folder.path())).unwrap();
    assert_eq!(ServeGen::read(&path).unwrap().clients, read.clients);
}

#[test]
fn broken_clients_are_named() {
    let cases = [
        (
            TRACE.replace("600,", "601,"),
            LENGTHS.to_owned(),
            "chunk-0-trace.csv:2: column start: found 601, expected the next window's, 600",
        ),
        (
            TRACE.replace("Weibull", "Pareto"),
            LENGTHS.to_owned(),
            "chunk-0-trace.csv:3: column pattern: found \"Pareto\", expected Gamma, Weibull or nothing",
        ),
        (
            TRACE.replace("2.0,1.0", "fast,1.0"),
            LENGTHS.to_owned(),
            "chunk-0-trace.csv:1: column rate: found \"fast\", expected a number of zero or more",
        ),
        (
            TRACE.to_owned(),
            LENGTHS.replace("46: 0.75", "46: exit()"),
            "chunk-0-dataset.json: found \"46: exit()\" in input_tokens of window 0, expected a dictionary such as {45: 0.25, 46: 0.75}",
        ),
    ];
    for (trace, lengths, expected) in cases {
        let folder = folder(&trace, &lengths);
        let message = ServeGen::read(folder.path()).unwrap_err().to_string();
        assert_eq!(message.replace(&format!("{}/", folder.path().display()), ""), expected);
    }
    let folder = folder("0,0,0,,0,0\n", LENGTHS);
    let message = ServeGen::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("found 2 windows and no client, expected chunk-N-trace.csv"), "{message}");
}

fn requests(path: &Path, keys: &str, slice: std::ops::Range<f64>) -> Vec<Request> {
    let text = format!(
        "name = \"measured\"\nstart = \"2026-01-05T00:00:00Z\"\nduration = \"1 d\"\n\
         [site.hall]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.pool]\nsite = \"hall\"\nnode = \"dgx-h100\"\nnodes = 4\nfailures = {{ none = {{}} }}\n\
         [service.chat]\ncluster = \"pool\"\nmodel = \"llama-3.1-8b\"\nreplica = {{ gpus = 1 }}\nscale = {{ min = 1, max = 4 }}\n\
         [service.chat.arrivals.servegen]\npath = {:?}\n{keys}",
        path.to_str().unwrap()
    );
    let scenario = scenario::parse("measured.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
    let mut source = Source::new(&scenario.services[0], 0, Seed { seed: 31, replication: 0 });
    source.set_slice(slice);
    source.open(SimTime::ZERO);
    std::iter::from_fn(|| source.next()).collect()
}

#[test]
fn clients_ask_as_measured_and_each_request_comes_to_one_cell() {
    let folder = folder(TRACE, LENGTHS);
    let all = requests(folder.path(), "rate = \"40 /s\"", 0.0..1.0);
    let in_window = |window: u64| {
        let from = SimTime::ZERO + Span::from_secs(window * 600);
        all.iter().filter(|request| request.at >= from && request.at < from + Span::from_secs(600)).count() as f64
    };
    // A mean of 2 a second as measured, 20 times as much: 40, 0, 80 a second; a CV of 2 counts to sqrt(4 / 48,000) = 0.9 %.
    assert!((in_window(0) / 24_000.0 - 1.0).abs() < 0.04, "{}", in_window(0));
    assert_eq!(in_window(1), 0.0);
    assert!((in_window(2) / 48_000.0 - 1.0).abs() < 0.05, "{}", in_window(2));
    assert!(all.iter().all(|request| request.output == 7 && (45..=46).contains(&request.prompt)));
    let mut parts = [0.0..0.3, 0.3..1.0].map(|slice| requests(folder.path(), "rate = \"40 /s\"", slice)).concat();
    parts.sort_by_key(|request| request.at);
    assert_eq!(parts, all);
    let late = requests(folder.path(), "from = \"20 min\"", 0.0..1.0);
    assert!(late.iter().all(|request| request.at.as_secs_f64() < 600.0) && late.len() > 2_000, "the last window only");
}

#[test]
fn the_measured_archives_have_their_published_figures() {
    // Computed from the archives by an independent script.
    if let Some(path) = shared("traces/servegen_reason_deepseek-r1.tar.gz") {
        let read = ServeGen::read(&path).unwrap();
        assert_eq!((read.windows_read, read.without_lengths), (73 * 144, 0));
        let asked = requests(&path, "", 0.0..1.0);
        let rate = asked.len() as f64 / 86_400.0;
        assert!((rate / 16.0 - 1.0).abs() < 0.02, "{rate} a second");
        for (of, mean, median) in [
            ((|request| request.prompt) as fn(&Request) -> u32, 1_268.0, 208.0),
            (|request| request.output, 1_527.0, 792.0),
        ] {
            let mut lengths: Vec<u32> = asked.iter().map(of).collect();
            lengths.sort_unstable();
            let found = lengths.iter().map(|length| f64::from(*length)).sum::<f64>() / lengths.len() as f64;
            let half = f64::from(lengths[lengths.len() / 2]);
            println!("mean {found:.0}, published {mean}; median {half}, published {median}");
            assert!((found / mean - 1.0).abs() < 0.05 && (half / median - 1.0).abs() < 0.05);
        }
    }
    if let Some(path) = shared("traces/servegen_language_m-small.tar.gz") {
        let read = ServeGen::read(&path).unwrap();
        assert_eq!(read.windows_read, 43 * 2_016);
        assert!(read.clients.len() <= 38, "five clients have no lengths");
        assert!(read.without_lengths > 0, "and their windows are counted");
    }
}
