//! The load generator: a process of its own that puts one load on one contender and prints one
//! line with the sample. The bench starts it; nobody else needs to.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use lexopt::prelude::*;

use super::super::figures::{Figure, Sample};
use super::super::suite::find_load;
use super::client::{Client, Question};
use super::load::{Container, Key, LOADS, Load, Work};

/// How long a program may take to notice the containers.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is asked again until then.
const LOOK: Duration = Duration::from_millis(20);

/// What the bench tells the load generator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) load: Load,
    /// Where the contender listens.
    pub(super) socket: PathBuf,
    /// How long look-ups are measured.
    pub(super) length: Duration,
}

impl Job {
    /// The arguments that [`Job::parse`] reads.
    pub(super) fn to_args(&self) -> Vec<String> {
        vec![
            format!("--load={}", self.load.name),
            format!("--socket={}", self.socket.display()),
            format!("--seconds={}", self.length.as_secs_f64()),
        ]
    }

    fn parse(mut args: lexopt::Parser) -> Result<Job> {
        let (mut load, mut socket) = (None, None);
        let mut length = Duration::from_secs(1);
        while let Some(arg) = args.next()? {
            match arg {
                Long("load") => load = Some(find_load(&LOADS, &args.value()?.string()?)?),
                Long("socket") => socket = Some(args.value()?.into()),
                Long("seconds") => {
                    length = args
                        .value()?
                        .parse_with(|s| s.parse().map(Duration::try_from_secs_f64))??;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Job {
            load: load.context("no --load was given")?,
            socket: socket.context("no --socket was given")?,
            length,
        })
    }

    pub(super) fn run(&self) -> Result<Sample> {
        let containers = self.load.work.containers();
        let questions = |by| -> Result<Vec<Question>> {
            Container::several(containers)
                .map(|container| Question::new(container, by))
                .collect()
        };
        let mut client = Client::connect(&self.socket)?;
        let names = questions(Key::Name)?;
        await_all(&mut client, &names)?;
        match self.load.work {
            Work::LookUps { by, .. } => look_ups(&mut client, &questions(by)?, self.length),
            Work::Memory { .. } => {
                look_ups(&mut client, &names, self.length / 2)?;
                look_ups(&mut client, &questions(Key::Id)?, self.length / 2)?;
                let resident = client.server()?.resident()?;
                Ok(Sample::default().with(Figure::Resident, resident as f64))
            }
            Work::Crowd { clients, .. } => {
                let served = self.crowd(clients, &names);
                Ok(Sample::default().with(Figure::Served, served as f64))
            }
        }
    }

    /// How many of so many clients are served. All connect first, then all ask, and none leaves; the
    /// first one that fails ends each step.
    fn crowd(&self, clients: usize, questions: &[Question]) -> usize {
        let connected = (0..clients).map_while(|_| Client::connect(&self.socket).ok());
        let mut crowd: Vec<(Client, &Question)> = connected.zip(questions.iter().cycle()).collect();
        let asked = crowd
            .iter_mut()
            .map_while(|(client, question)| client.send(question).ok())
            .count();
        crowd
            .iter_mut()
            .take(asked)
            .map_while(|(client, question)| client.await_answer(question).ok())
            .count()
    }
}

/// Does the job that the arguments describe.
pub(super) fn run(args: lexopt::Parser) -> Result<()> {
    println!("{}", Job::parse(args)?.run()?);
    Ok(())
}

/// Waits until each of the questions has its answer.
fn await_all(client: &mut Client, questions: &[Question]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for question in questions {
        while let Err(error) = client.ask(question) {
            if Instant::now() >= deadline {
                return Err(error.context("not all containers are known"));
            }
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

/// Asks one question after the other for `length`, after a warm-up of a fifth of it. Every answer
/// is checked.
fn look_ups(client: &mut Client, questions: &[Question], length: Duration) -> Result<Sample> {
    let server = client.server()?;
    let mut latencies: Histogram<u64> = Histogram::new(3).context("cannot set up the histogram")?;
    ask_in_turn(client, questions, length / 5, &mut latencies)?;
    latencies.reset();

    let cpu_before = server.cpu_time()?;
    let took = ask_in_turn(client, questions, length, &mut latencies)?;
    let used = server.cpu_time()?.saturating_sub(cpu_before);

    let count = latencies.len() as f64;
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Sample::default()
        .with(Figure::Rate, count / took.as_secs_f64())
        .with(Figure::P50, micros(0.50))
        .with(Figure::P99, micros(0.99))
        .with(Figure::Cpu, used.as_secs_f64() * 1e6 / count))
}

/// Gives the time that it really took.
fn ask_in_turn(
    client: &mut Client,
    questions: &[Question],
    length: Duration,
    latencies: &mut Histogram<u64>,
) -> Result<Duration> {
    let start = Instant::now();
    let mut last = start;
    for question in questions.iter().cycle() {
        client.ask(question)?;
        let now = Instant::now();
        latencies.record(u64::try_from((now - last).as_nanos())?)?;
        last = now;
        if last - start >= length {
            break;
        }
    }
    Ok(last - start)
}

#[cfg(test)]
mod tests {
    use testbed::{DEBIAN_PMDAROOT, PmdaRoot};

    use super::*;

    #[test]
    fn a_job_survives_the_command_line() {
        let job = Job {
            load: find_load(&LOADS, "crowd").unwrap(),
            socket: "/run/root.socket".into(),
            length: Duration::from_millis(300),
        };
        let parsed = Job::parse(lexopt::Parser::from_args(job.to_args())).unwrap();
        assert_eq!(parsed, job);
    }

    #[test]
    fn a_real_pmdaroot_answers_the_look_ups() {
        let root = PmdaRoot::start(DEBIAN_PMDAROOT).unwrap();
        for container in Container::several(1) {
            root.docker_container(&container.id(), &container.name(), container.pid())
                .unwrap();
        }
        for (load, figure) in [("name-1", Figure::Rate), ("id-1", Figure::P50)] {
            let job = Job {
                load: find_load(&LOADS, load).unwrap(),
                socket: root.socket(),
                length: Duration::from_millis(20),
            };
            assert!(job.run().unwrap().get(figure).unwrap() > 0.0);
        }
    }
}
