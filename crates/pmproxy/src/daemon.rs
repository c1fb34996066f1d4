//! The life of the daemon: everything is opened, privileges are dropped, clients are served until a
//! signal ends it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gate::advertise::{Advertisement, Reach, Service};
use gate::dial::{Dialer, MOST_LOOKUPS};
use gate::lifecycle::{
    Account, Log, PidFile, Signal, Signals, Starter, State, date, hold_signals, install_log,
    take_sockets, tell_manager,
};
use gate::limits::{Admission, Descriptors, accept};
use gate::listen::{Address, Bound, Listener};
use gate::telemetry::{self, Site};
use gate::throttle::Throttle;
use pcp_proto::PDU_VERSION;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::Config;
use crate::counters::{Counters, Numbers, Reading};
use crate::options::Mode;
use crate::pcp_metrics::Exporter;
use crate::pdu_tally::PduCounts;
use crate::presence::Guests;
use crate::request_ports::{RequestPorts, open_as};
use crate::session::{Access, PcpRelay, Shared, on_end};
use crate::settings::Settings;
use crate::status::report::{self, Reporter};

/// How long sessions may go on once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// The admin socket is for the daemon's user and root.
const ADMIN_MODE: u32 = 0o600;

/// Threads that greet and connect clients; relaying has its own.
const ADMISSION_THREADS: usize = 2;

/// Opens the log. Where that fails, messages go to standard error.
pub(crate) fn open_log(settings: &Settings) -> Arc<Log> {
    let debug = settings.debug.clone();
    let (log, failure) = match Log::create(&settings.log, settings.account.as_ref()) {
        Ok(log) => (log, None),
        Err(error) => (Log::stderr(), Some(error)),
    };
    let log = Arc::new(log);
    let host = nix::unistd::gethostname().unwrap_or_default();
    log.write_plain(&format!(
        "Log for pmproxy on {} started {}\n\n",
        host.display(),
        date()
    ));
    install_log("pmproxy", Arc::clone(&log), move |target| debug.has(target));
    if let Some(error) = failure {
        let path = settings.log.display();
        let error = gate::describe(&error);
        tracing::warn!("cannot write the log {path}: {error}; messages go to standard error");
    }
    log
}

/// Runs the daemon until a signal ends it. The starter is released once clients are served.
pub(crate) fn run(settings: &Settings, log: &Arc<Log>, starter: &mut Starter) -> Result<()> {
    hold_signals().context("cannot hold signals back")?;
    let descriptors = Descriptors::raise_limit();
    let mut ports = open_request_ports(settings)?;
    let admin = AdminDoors::open(settings);
    if settings.mode == Mode::Daemon {
        starter.leave().context("cannot become a daemon")?;
    }
    let _pid_file = (settings.mode != Mode::Foreground).then(|| write_pid_file(settings));
    if let Some(account) = &settings.account {
        account.assume()?;
    }
    introduce(settings, log, &ports);
    let daemon = Daemon::start(settings, Arc::clone(log), descriptors)?;
    let runtime = runtime().context("cannot start the threads that admit clients")?;
    runtime.block_on(daemon.serve(std::mem::take(&mut ports.open), admin, starter))?;
    // Look-ups that hang in the resolver must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

/// Takes the ports that the service manager hands over; where it hands over none, opens those of the
/// settings.
fn open_request_ports(settings: &Settings) -> Result<RequestPorts> {
    let sockets = take_sockets().map_err(anyhow::Error::msg)?;
    if !sockets.is_empty() {
        let is_local = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        let mut addresses = sockets.iter().flat_map(Bound::tcp_addresses);
        if settings.is_local_only()
            && let Some(address) = addresses.find(|address| !is_local(address))
        {
            bail!(
                "only local clients may be served (PMPROXY_LOCAL or -i), but the service manager \
                 handed over {address}: change its socket unit"
            );
        }
        tracing::info!(
            "the service manager handed over the request ports: -i, -p, -s, PMPROXY_PORT and \
             PMPROXY_SOCKET have no effect"
        );
        return Ok(RequestPorts::handed_over(sockets));
    }
    let ports = RequestPorts::open(
        settings.socket.clone(),
        &settings.interfaces,
        settings.ports.iter(),
        settings.max_pending,
        settings.account.as_ref(),
    );
    for error in &ports.errors {
        tracing::error!("{error}");
    }
    if !ports.is_reachable() {
        let first = ports.errors.last().cloned().unwrap_or_default();
        bail!("can't open any request ports, exiting: {first}");
    }
    Ok(ports)
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(ADMISSION_THREADS)
        .max_blocking_threads(MOST_LOOKUPS)
        .thread_name("admission")
        .enable_all()
        .build()
}

/// Where the daemon's numbers can be read. They are a convenience: without them the daemon serves
/// all the same.
#[derive(Debug)]
struct AdminDoors {
    socket: Option<Bound>,
    address: Option<Bound>,
}

impl AdminDoors {
    fn open(settings: &Settings) -> AdminDoors {
        let account = settings.account.as_ref();
        let open = |name: &str, address: &Address| {
            open_as(account, address, settings.max_pending, ADMIN_MODE)
                .inspect_err(|error| {
                    let error = gate::describe(error);
                    tracing::warn!("no numbers can be read: {name} {address}: {error}");
                })
                .ok()
        };
        let address = settings.config.admin_address;
        AdminDoors {
            socket: open(
                "admin socket",
                &Address::Unix(settings.admin_socket.clone()),
            ),
            address: address.and_then(|address| open("admin.address", &Address::Tcp(address))),
        }
    }
}

fn write_pid_file(settings: &Settings) -> Option<PidFile> {
    let path = &settings.pid_file;
    PidFile::create(path, settings.account.as_ref())
        .inspect_err(|error| {
            let error = gate::describe(error);
            tracing::warn!("cannot write the pid file {}: {error}", path.display());
        })
        .ok()
}

/// Lets clients find the ports that others than this machine can reach.
fn advertise(ports: &[Bound]) -> Option<Advertisement> {
    let addresses: Vec<SocketAddr> = ports.iter().flat_map(Bound::tcp_addresses).collect();
    let reach = Reach::of(addresses.iter().map(SocketAddr::ip))?;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let reachable = addresses
        .iter()
        .filter(|address| !address.ip().is_loopback());
    let numbers: BTreeSet<u16> = reachable.map(SocketAddr::port).collect();
    let services = numbers.into_iter().map(|port| Service {
        name: format!("PCP pmproxy on {}", host.display()),
        kind: "_pmproxy._tcp",
        port,
        txt: Vec::new(),
    });
    Some(Advertisement::start(services, reach))
}

/// The opening of the log, as readers of the C program's log know it.
fn introduce(settings: &Settings, log: &Log, ports: &RequestPorts) {
    let (pid, user, uid) = (
        std::process::id(),
        Account::current_name(),
        Account::current_uid(),
    );
    let table = ports.table();
    log.write_plain(&format!(
        "pmproxy: PID = {pid}, PDU version = {PDU_VERSION}, user = {user} ({uid})\n{table}\n"
    ));
    for remark in &settings.remarks {
        tracing::info!("{remark}");
    }
    if settings.config.policy.is_open() {
        tracing::info!("no access policy: every client may reach every host and port");
    }
}

/// Waits until the time is over; without one, for ever.
async fn over(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

struct Daemon<'a> {
    settings: &'a Settings,
    log: Arc<Log>,
    shared: Arc<Shared>,
    relay: Arc<PcpRelay>,
    admission: Admission,
    descriptors: Descriptors,
}

impl<'a> Daemon<'a> {
    fn start(
        settings: &'a Settings,
        log: Arc<Log>,
        descriptors: Descriptors,
    ) -> Result<Daemon<'a>> {
        let shared = Arc::new(Shared {
            counters: Counters::default(),
            guests: Guests::default(),
            throttle: Throttle::default(),
            dialer: Dialer::new(settings.connect_timeout),
            access: Access::new(settings.config.policy.clone()),
            certificates: Arc::clone(&settings.certificates),
            demands: settings.demands,
            greeting_limit: settings.connect_timeout,
            pmcd_limit: settings.request_timeout,
            pdu_limit: settings.pdu_limit,
            count_pdus: settings.config.count_pdus,
        });
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let relay = PcpRelay::start(cores, on_end(&shared)).context("cannot start the relay")?;
        let admission = Admission::new(descriptors.clients(settings.config.max_clients));
        Ok(Daemon {
            settings,
            log,
            shared,
            relay: Arc::new(relay),
            admission,
            descriptors,
        })
    }

    /// Serves clients until a signal comes, then lets their sessions end for a while.
    async fn serve(
        self,
        ports: Vec<Bound>,
        admin: AdminDoors,
        starter: &mut Starter,
    ) -> Result<()> {
        let mut signals = Signals::listen().context("cannot receive signals")?;
        let advertisement = self.settings.advertise.then(|| advertise(&ports)).flatten();
        let mut work = JoinSet::new();
        for port in ports {
            work.spawn(self.accept_clients(port.into_listener()?));
        }
        let _metrics = self.export_metrics();
        let site = Site::new(Arc::new(self.numbers().registry()));
        if let Some(address) = admin.address {
            work.spawn(telemetry::serve(address.into_listener()?, site.clone()));
        }
        if let Some(socket) = admin.socket {
            // Who talks to whom is not for everyone who can reach a port.
            let (shared, relay) = (Arc::clone(&self.shared), Arc::clone(&self.relay));
            let reporter = Reporter::new(shared, relay);
            let site = site.with_json(report::PATH, move || reporter.clone().json());
            work.spawn(telemetry::serve(socket.into_listener()?, site));
        }
        work.spawn(Arc::clone(&self.settings.certificates).watch());
        let keep_stderr = self.log.path().is_none();
        starter
            .release(keep_stderr)
            .context("cannot let go of the terminal")?;
        tell_manager(State::Ready);
        tokio::select! {
            name = self.heed(&mut signals) => tracing::info!("pmproxy caught {name}"),
            () = over(self.settings.run_time) => tracing::info!("the time of -T is over"),
        }
        tell_manager(State::Stopping);
        work.shutdown().await;
        if let Some(advertisement) = advertisement {
            advertisement.withdraw().await;
        }
        tokio::select! {
            () = self.relay.sessions_end(GRACE) => {}
            _ = signals.next() => {}
        }
        tracing::info!("pmproxy Shutdown");
        Ok(())
    }

    /// Tells the pmcd of this host the numbers, where there is one.
    fn export_metrics(&self) -> Option<Exporter> {
        if !self.settings.config.mmv {
            return None;
        }
        Exporter::start(&self.settings.metrics_folder, self.numbers())
            .inspect_err(|error| tracing::info!("no metrics for the pmcd of this host: {error}"))
            .ok()
    }

    fn numbers(&self) -> Numbers {
        let (relay, admission) = (Arc::clone(&self.relay), self.admission.clone());
        Numbers::new(self.shared.counters.clone(), move || Reading {
            connected: admission.clients(),
            totals: relay.totals(),
            pdus: PduCounts::sum(relay.tallies()),
        })
    }

    /// Does what signals ask for, until one asks for the end; gives its name.
    async fn heed(&self, signals: &mut Signals) -> &'static str {
        loop {
            match signals.next().await {
                Signal::Reload => {
                    tell_manager(State::Reloading);
                    self.reload();
                    tell_manager(State::Ready);
                }
                Signal::Stop(name) => return name,
            }
        }
    }

    fn accept_clients(&self, listener: Listener) -> impl Future<Output = ()> + Send + use<> {
        let (shared, relay) = (Arc::clone(&self.shared), Arc::clone(&self.relay));
        let admission = self.admission.clone();
        async move {
            accept(&listener, &admission, |stream, peer, place| {
                let Some(place) = place else {
                    shared.turn_away(peer);
                    return;
                };
                let (shared, relay) = (Arc::clone(&shared), Arc::clone(&relay));
                tokio::spawn(async move { shared.serve(&relay, stream, peer, place).await });
            })
            .await;
        }
    }

    /// Reopens the log and reads the configuration; one with an error changes nothing.
    fn reload(&self) {
        match self.log.reopen() {
            Ok(()) => tracing::info!("SIGHUP: the log is open anew"),
            Err(error) => {
                let error = gate::describe(&error);
                tracing::error!("SIGHUP: cannot reopen the log, the old one stays in use: {error}");
            }
        }
        match self.settings.config_source.read() {
            Ok(config) => {
                self.admission
                    .set_limit(self.descriptors.clients(config.max_clients));
                self.shared.access.replace(&config.policy);
                self.reload_certificates(&config);
                // Whoever waits for this line may rely on what was configured.
                tracing::info!("SIGHUP: the configuration is read");
                for remark in &config.remarks {
                    tracing::info!("{remark}");
                }
                for setting in config.fixed_that_differ(&self.settings.config) {
                    tracing::warn!("{setting} stays as it is until pmproxy is started again");
                }
            }
            Err(error) => {
                tracing::error!("SIGHUP: the configuration stays as it was: {error:#}");
            }
        }
    }
    /// Reads the certificates anew; new handshakes take them, those of before stay as they are.
    fn reload_certificates(&self, config: &Config) {
        let certificates = &self.settings.certificates;
        match certificates.reload(config.secure, &config.tls) {
            Ok(remarks) => {
                for remark in &remarks {
                    tracing::info!("SIGHUP: {remark}");
                }
            }
            Err(error) => {
                tracing::error!("SIGHUP: the certificates stay as they were: {error:#}");
            }
        }
        certificates.warn();
    }
}
