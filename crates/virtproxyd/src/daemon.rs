//! The life of the daemon: everything is checked and opened, clients are served until a signal or
//! the timeout ends it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use gate::lifecycle::{PidFile, Signal, Signals, Starter, State, hold_signals, tell_manager};
use gate::limits::{Descriptors, accept_with_room};
use gate::listen::Listener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use virt_proto::Identity;

use crate::admin::{Administered, Server};
use crate::certificates::Certificates;
use crate::clients::{About, Clients, Transport};
use crate::config::{Config, Method};
use crate::doors::{self, Door, OpenDoor, Purpose};
use crate::logging::Logging;
use crate::options::Options;
use crate::orders::Orders;
use crate::paths::Mode;
use crate::session::{Live, RpcRelay, Shared, on_end};
use crate::source::Source;
use crate::who::UnixPeer;

/// How long sessions may go on once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// Threads that admit clients; relaying has its own.
const ADMISSION_THREADS: usize = 2;

/// Threads for what blocks: SASL, look-ups of users and groups.
const BLOCKING_THREADS: usize = 64;

/// How often to look whether clients are there, while the daemon ends without them.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

/// Runs the daemon until a signal ends it. The starter is released once clients are served.
pub(crate) fn run(
    options: &Options,
    source: &Source,
    config: Config,
    logging: &Logging,
) -> Result<()> {
    let live = source.live(config)?;
    hold_signals().context("cannot hold signals back")?;
    let descriptors = Descriptors::raise_limit();
    let given = take_doors(source, &live.config)?;
    let has_tls = match &*given {
        [] => live.config.listening.tls,
        doors => doors.iter().any(OpenDoor::has_tls),
    };
    let certificates = has_tls.then(|| load_certificates(source, &live.config));
    let certificates = certificates.transpose()?;
    let doors = match given.is_empty() {
        true => open_doors(source, &live.config)?,
        false => given,
    };
    let mut starter = Starter::default();
    if options.daemon {
        starter.leave().context("cannot become a daemon")?;
    }
    let pid_file = options.pid_file.as_ref().unwrap_or(&source.paths.pid_file);
    let _pid_file = PidFile::create(pid_file, None).map_err(|error| {
        let error = gate::describe(&error);
        anyhow::anyhow!("cannot write the pid file {}: {error}", pid_file.display())
    })?;
    for warning in &live.config.warnings {
        tracing::warn!("{warning}");
    }
    for remark in &live.config.remarks {
        tracing::info!("{remark}");
    }
    for door in &doors {
        tracing::info!("listening on {}", door.describe());
    }
    let daemon = Daemon::start(options, source, live, certificates, descriptors, logging)?;
    let runtime = runtime().context("cannot start the threads that admit clients")?;
    runtime.block_on(daemon.serve(doors, &mut starter))?;
    // Look-ups that hang must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(ADMISSION_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("admission")
        .enable_all()
        .build()
}

/// Reads what TLS needs.
fn load_certificates(source: &Source, config: &Config) -> Result<Certificates> {
    let places = &source.paths.certificates;
    let loaded = Certificates::load(&config.tls, places)?;
    tracing::info!("{}", loaded.describe());
    Ok(Certificates::new(loaded, places.clone()))
}

/// Takes the sockets that the service manager hands over, if it does.
fn take_doors(source: &Source, config: &Config) -> Result<Vec<OpenDoor>> {
    let listening = &config.listening;
    let sockets = source.paths.sockets(listening.unix_folder.as_deref());
    let doors = doors::handed_over(&sockets, listening)?;
    if !doors.is_empty() {
        tracing::info!(
            "the service manager handed over the sockets: settings of virtproxyd.conf about \
             sockets have no effect"
        );
    }
    Ok(doors)
}

/// Opens the sockets of the configuration.
fn open_doors(source: &Source, config: &Config) -> Result<Vec<OpenDoor>> {
    let listening = &config.listening;
    let sockets = source.paths.sockets(listening.unix_folder.as_deref());
    if let Some(folder) = sockets.rw.parent() {
        make_folder(folder, source.paths.mode())?;
    }
    doors::open(&sockets, listening, &config.limits)
}

/// Makes the folder of the sockets if it is missing.
fn make_folder(folder: &Path, mode: Mode) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let permissions = match mode {
        Mode::System => 0o755,
        Mode::Session => 0o700,
    };
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(permissions)
        .create(folder);
    made.map_err(|error| {
        let error = gate::describe(&error);
        anyhow::anyhow!("cannot make the folder {}: {error}", folder.display())
    })
}

struct Daemon<'a> {
    source: &'a Source,
    logging: &'a Logging,
    shared: Arc<Shared>,
    relay: Arc<RpcRelay>,
    descriptors: Descriptors,
    administered: Arc<Administered>,
    admins: Arc<Clients>,
    /// Given by an administrator who wants the end.
    order: Arc<Notify>,
    /// In seconds; 0 for none.
    timeout: Arc<AtomicU64>,
}

impl<'a> Daemon<'a> {
    fn start(
        options: &Options,
        source: &'a Source,
        live: Live,
        certificates: Option<Certificates>,
        descriptors: Descriptors,
        logging: &'a Logging,
    ) -> Result<Daemon<'a>> {
        let limits = &live.config.limits;
        let clients = Clients::new(
            descriptors.clients(limits.clients),
            limits.anonymous_clients,
        );
        let shared = Arc::new(Shared::new(clients, certificates, live));
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let relay = RpcRelay::start(cores, on_end(&shared)).context("cannot start the relay")?;
        let relay = Arc::new(relay);
        let carrier = Arc::downgrade(&relay);
        shared.clients.on_dismiss(move |client| {
            if let Some(relay) = carrier.upgrade() {
                relay.dismiss(move |_, ticket| ticket.client() == client);
            }
        });
        let timeout = options.timeout.map_or(0, |timeout| timeout.as_secs());
        let timeout = Arc::new(AtomicU64::new(timeout));
        let order = Arc::new(Notify::new());
        let live = shared.live();
        let limits = &live.config.limits;
        let admins = Clients::new(limits.admin_clients, 0);
        let has_tls = shared.certificates.is_some();
        let administered = Administered::new(
            Server::new("virtproxyd", &shared.clients, limits.workers, has_tls),
            Server::new("admin", &admins, limits.admin_workers, false),
            live.config.admin_keepalive,
            Orders {
                shared: Arc::clone(&shared),
                logging: logging.clone(),
                timeout: Arc::clone(&timeout),
                end: Arc::clone(&order),
            },
        );
        Ok(Daemon {
            source,
            logging,
            shared,
            relay,
            descriptors,
            administered,
            admins,
            order,
            timeout,
        })
    }

    /// Serves clients until it is time to end, then lets their sessions end for a while.
    async fn serve(self, doors: Vec<OpenDoor>, starter: &mut Starter) -> Result<()> {
        let mut signals = Signals::listen().context("cannot receive signals")?;
        let mut work = JoinSet::new();
        for door in doors {
            let listener = door.socket.into_listener()?;
            match door.purpose {
                Purpose::Clients(door) => {
                    work.spawn(self.accept_clients(listener, door));
                }
                Purpose::Admin => {
                    work.spawn(accept_administrators(
                        listener,
                        Arc::clone(&self.administered),
                    ));
                }
            }
        }
        let shared = Arc::clone(&self.shared);
        work.spawn(async move {
            if let Some(certificates) = &shared.certificates {
                certificates.watch().await;
            }
        });
        starter
            .release(self.logging.uses_stderr())
            .context("cannot let go of the terminal")?;
        tell_manager(State::Ready);
        tokio::select! {
            name = self.heed(&mut signals) => tracing::info!("virtproxyd caught {name}"),
            () = self.order.notified() => tracing::info!("an administrator ends virtproxyd"),
            () = self.idle_for_too_long() => tracing::info!("no clients for the time of -t"),
        }
        tell_manager(State::Stopping);
        work.shutdown().await;
        tokio::select! {
            () = self.relay.sessions_end(GRACE) => {}
            _ = signals.next() => {}
        }
        tracing::info!("virtproxyd shut down");
        Ok(())
    }

    fn accept_clients(
        &self,
        listener: Listener,
        door: Door,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (shared, relay) = (Arc::clone(&self.shared), Arc::clone(&self.relay));
        async move {
            let room = || shared.clients.room();
            accept_with_room(&listener, room, |stream, peer| {
                if let Some(guest) = shared.welcome(stream, peer, door) {
                    let (shared, relay) = (Arc::clone(&shared), Arc::clone(&relay));
                    tokio::spawn(async move { shared.serve(&relay, guest).await });
                }
            })
            .await;
        }
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

    /// Waits until there have been no clients for the time of the timeout.
    async fn idle_for_too_long(&self) {
        let mut idle_since = Instant::now();
        loop {
            sleep(IDLE_PAUSE).await;
            let timeout = self.timeout.load(Ordering::Relaxed);
            let clients = self.shared.clients.count().0 + self.admins.count().0;
            if timeout == 0 || clients > 0 {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= Duration::from_secs(timeout) {
                return;
            }
        }
    }

    /// Reads the configuration anew; one with an error changes nothing.
    fn reload(&self) {
        if let Err(error) = self.logging.reopen() {
            tracing::error!("SIGHUP: {error}");
        }
        match self.try_reload() {
            Ok(()) => tracing::info!("SIGHUP: the configuration is read"),
            Err(error) => {
                tracing::error!("SIGHUP: everything stays as it was: {error:#}");
            }
        }
    }

    /// Whatever may fail comes first, so that all of it is done or nothing.
    fn try_reload(&self) -> Result<()> {
        let live = self.source.live(self.source.read()?)?;
        let old = self.shared.live();
        let (config, opened) = (&live.config, &old.config.listening);
        if config.auth.unix_rw == Method::None
            && config.listening.unix_rw_mode != opened.unix_rw_mode
        {
            let mode = opened.unix_rw_mode;
            bail!(
                "auth_unix_rw = \"none\" needs other permissions of the socket than the {mode:04o} \
                 that it was opened with: restart virtproxyd"
            );
        }
        let logging = self.logging.prepare(&config.logging)?;
        if let Some(certificates) = &self.shared.certificates {
            certificates.reload(&config.tls)?;
        }
        self.logging.adopt(logging);
        for setting in config.fixed_that_differ(&old.config) {
            tracing::warn!("{setting} stays as it is until virtproxyd is started again");
        }
        for remark in config.warnings.iter().chain(&config.remarks) {
            tracing::info!("{remark}");
        }
        let limits = &config.limits;
        let clients = self.descriptors.clients(limits.clients);
        self.shared
            .clients
            .set_limits(clients, limits.anonymous_clients);
        self.admins.set_limits(limits.admin_clients, 0);
        // The sockets stay what they are.
        let listening = opened.clone();
        self.shared.replace(Live {
            config: Config {
                listening,
                ..live.config
            },
            ..live
        });
        Ok(())
    }
}

async fn accept_administrators(listener: Listener, administered: Arc<Administered>) {
    let room = || std::future::ready(());
    accept_with_room(&listener, room, |stream, peer| {
        let administered = Arc::clone(&administered);
        tokio::spawn(async move {
            let identity = match UnixPeer::of(&stream) {
                Ok(Some(unix)) => unix.identity().await,
                // Without an identity it is refused.
                Ok(None) | Err(_) => Identity::default(),
            };
            let about = About {
                transport: Transport::Unix,
                connected: SystemTime::now(),
                read_only: false,
                peer,
                identity,
                authenticated: true,
            };
            administered.serve(stream, about).await;
        });
    })
    .await;
}
