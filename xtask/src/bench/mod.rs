//! `cargo xtask bench pmproxy`: our pmproxy beside a direct connection and other proxies.
//!
//! A machine is noisy, so the contenders take turns within each round, medians are printed, and
//! ratios are taken within a round. The stub server and the load generator are processes of their
//! own: this program again, with the hidden words `stub-server` and `load-generator`.

mod certificates;
mod closed_loop;
mod contender;
mod figures;
mod generator;
mod link;
mod load;
mod memory;
mod options;
mod peer;
mod proc_fs;
mod process;
mod report;
mod results;
mod secure;
mod stub_server;
mod verdict;
mod wire;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use rustix::process::{Resource, getrlimit, setrlimit};
use testbed::Scratch;

use certificates::Certificates;
use contender::Contender;
use figures::Sample;
use generator::Job;
use load::Load;
use options::{Options, USAGE};
use process::{Stub, generate};

use crate::interrupt::Interrupt;
use results::Results;

use crate::tree;

pub(crate) fn run(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(Value(what)) if what == "pmproxy" => bench_pmproxy(args),
        Some(Value(what)) if what == "stub-server" => stub_server::run(args),
        Some(Value(what)) if what == "load-generator" => generator::run(args),
        Some(Short('h') | Long("help")) => show_usage(),
        Some(other) => Err(options::unexpected(other)),
        None => bail!("what is to be measured?\n\n{USAGE}"),
    }
}

fn show_usage() -> Result<()> {
    println!("{USAGE}");
    Ok(())
}

fn bench_pmproxy(args: lexopt::Parser) -> Result<()> {
    let Some(options) = Options::parse(args)? else {
        return show_usage();
    };
    if cfg!(debug_assertions) {
        return go_on_as_release_build();
    }
    let interrupt = Interrupt::watch()?;
    raise_descriptor_limit()?;
    let scratch = Scratch::new()?;
    let certificates = Certificates::make(&scratch)?;
    let mut bench = Bench {
        stub: Stub::start(&certificates)?,
        certificates,
        contenders: Vec::new(),
        missing: Vec::new(),
        results: Results::default(),
        interrupt,
    };
    bench.find_contenders(&options.contenders);
    println!("{}", machine_facts(&options));
    for round in 0..options.rounds {
        bench.run_round(round, &options)?;
    }
    let names: Vec<Contender> = bench
        .contenders
        .iter()
        .map(|(contender, _)| *contender)
        .collect();
    print!(
        "{}",
        report::render(&bench.results, &options.loads, &names, &bench.missing)
    );
    Ok(())
}

/// What a run of the bench holds on to.
struct Bench {
    stub: Stub,
    certificates: Certificates,
    /// Those that the machine has, with their programs.
    contenders: Vec<(Contender, Option<PathBuf>)>,
    /// Why something was not measured, each reason once.
    missing: Vec<String>,
    results: Results,
    interrupt: Interrupt,
}

impl Bench {
    fn find_contenders(&mut self, wanted: &[Contender]) {
        for &contender in wanted {
            match contender.program() {
                Ok(program) => self.contenders.push((contender, program)),
                Err(error) => self
                    .missing
                    .push(format!("{}: {error:#}", contender.name())),
            }
        }
    }

    /// Every load, every contender; another contender begins in each round.
    fn run_round(&mut self, round: usize, options: &Options) -> Result<()> {
        for load in &options.loads {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, load.title);
            let mut order = self.contenders.clone();
            order.retain(|(contender, _)| options.wants(*contender, *load));
            let first = round % order.len().max(1);
            order.rotate_left(first);
            for (contender, program) in order {
                let measured = self.measure(*load, contender, program.as_deref(), options);
                self.interrupt.check()?;
                self.keep(*load, contender, measured);
            }
        }
        Ok(())
    }

    /// One measurement, with a proxy that was started for it, so that none pays for the last one.
    fn measure(
        &self,
        load: Load,
        contender: Contender,
        program: Option<&Path>,
        options: &Options,
    ) -> Result<Sample> {
        let stub = self.stub.address;
        let started = contender.start(program, stub, &self.certificates, &self.interrupt)?;
        let job = Job {
            load,
            peer: started.peer,
            secure: contender
                .handshake()
                .map(|handshake| (handshake, self.certificates.clone())),
            proxy: started.watched(),
            length: options.length,
        };
        generate(&job, &self.interrupt)
    }

    /// A contender that fails under a load is worth a line, not the end of the bench.
    fn keep(&mut self, load: Load, contender: Contender, measured: Result<Sample>) {
        let sample = measured.map_err(|error| {
            let reason = format!("{}, {}: {error:#}", contender.name(), load.title);
            if !self.missing.contains(&reason) {
                self.missing.push(reason);
            }
        });
        self.results.push(load, contender, sample.ok());
    }
}

/// Builds this program in release mode and becomes it: a load generator without optimisation would
/// measure itself.
fn go_on_as_release_build() -> Result<()> {
    cargo_build_release("xtask")?;
    let release = tree::target()?.join("release/xtask");
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Comes back only when it fails.
    let error = Command::new(&release).args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", release.display()))
}

/// Builds a package of the workspace, as it is to be measured. cargo's messages go to standard
/// error, so that the tables can be redirected.
fn cargo_build_release(package: &str) -> Result<()> {
    tree::must(tree::cargo().args(["build", "--release", "-p", package]))
}

/// Lets this process and those that it starts hold as many descriptors as they may: thousands of
/// idle connections need two each in a proxy.
fn raise_descriptor_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open descriptors")
}

fn machine_facts(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = rustix::system::uname();
    format!(
        "{} {}; {cores} cores, shared by proxy, load generator and stub server, nothing pinned; \
         rounds: {}, seconds for each measurement: {}.",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        options.rounds,
        options.length.as_secs_f64(),
    )
}
