//! Acquires and releases without Node.js: `bare <url> <seconds>`, with the commands of the package on
//! standard input. A multiplexed connection of the redis crate and nothing else: no waiting, no
//! leases, no reconnecting. Prints one line of JSON, in the words of `bench/tasks/free.js`.

use std::error::Error;
use std::io::Read;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

mod lane;

use lane::Lane;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, seconds] = arguments.as_slice() else {
        return Err("usage: bare <url> <seconds>".into());
    };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lanes = Lane::read_all(&text)?;
    let connection = redis::Client::open(url.as_str())?.get_multiplexed_async_connection().await?;

    let before = processor_time();
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(seconds.parse()?);
    let turns = try_join_all(lanes.iter().map(|lane| run(connection.clone(), lane, end))).await?;
    let elapsed = started.elapsed().as_secs_f64();
    let used = processor_time() - before;

    let mut turns: Vec<Turn> = turns.into_iter().flatten().collect();
    turns.sort_by(|one, other| one.milliseconds.total_cmp(&other.milliseconds));
    let locks: usize = turns.iter().map(|turn| turn.locks).sum();
    println!(
        r#"{{"locks":{locks},"rate":{},"p50":{},"p99":{},"processCpu":{}}}"#,
        locks as f64 / elapsed,
        quantile(&turns, locks, 0.5),
        quantile(&turns, locks, 0.99),
        used / locks as f64,
    );
    Ok(())
}

/// How long the locks of a lane took, which is the same for each.
struct Turn {
    locks: usize,
    milliseconds: f64,
}

/// Acquires and releases until `end`, once at least.
async fn run(
    mut connection: MultiplexedConnection,
    lane: &Lane,
    end: Instant,
) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    let mut started = Instant::now();
    loop {
        send(&mut connection, &lane.acquire).await?;
        send(&mut connection, &lane.release).await?;
        let done = Instant::now();
        let milliseconds = (done - started).as_secs_f64() * 1000.0;
        turns.push(Turn { locks: lane.locks, milliseconds });
        if done >= end {
            return Ok(turns);
        }
        started = done;
    }
}

async fn send(connection: &mut MultiplexedConnection, commands: &[Cmd]) -> Result<()> {
    for command in commands {
        let answer: Value = command.query_async(connection).await?;
        if !is_yes(&answer) {
            return Err(format!("not what the package was answered: {answer:?}").into());
        }
    }
    Ok(())
}

/// Whether nothing was refused and nobody else had a lock.
fn is_yes(answer: &Value) -> bool {
    match answer {
        Value::Array(answers) => answers.iter().all(is_yes),
        Value::Int(0) | Value::Nil | Value::ServerError(_) => false,
        _ => true,
    }
}

/// The time that a share of all locks took at most; `turns` are in the order of theirs.
fn quantile(turns: &[Turn], locks: usize, share: f64) -> f64 {
    let place = locks as f64 * share;
    let mut below = 0;
    for turn in turns {
        below += turn.locks;
        if below as f64 >= place {
            return turn.milliseconds;
        }
    }
    0.0
}

/// Of this thread, which is the only one, in microseconds; 0 where the system does not tell.
fn processor_time() -> f64 {
    std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or(0.0, |nanoseconds| nanoseconds / 1000.0)
}
