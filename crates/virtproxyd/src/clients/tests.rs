//! Tests of the list of clients.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn about(authenticated: bool) -> About {
    About {
        transport: Transport::Unix,
        connected: SystemTime::UNIX_EPOCH,
        read_only: false,
        peer: Peer::Unix { uid: 0, pid: None },
        identity: Identity::default(),
        authenticated,
    }
}

/// Whether a client has been made to go already.
fn has_to_go(presence: &Presence) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = presence.dismissed() => true,
            () = std::future::ready(()) => false,
        }
    })
}

fn numbers(clients: &Clients) -> Vec<u64> {
    clients.list().into_iter().map(|(id, _)| id).collect()
}

#[test]
fn no_more_clients_come_in_than_may() {
    let clients = Clients::new(2, 1);
    let first = clients.enter(about(true)).unwrap();
    let _second = clients.enter(about(true)).unwrap();
    assert_eq!(clients.enter(about(true)).unwrap_err(), Full);
    assert_eq!(clients.enter(about(false)).unwrap_err(), Full);
    drop(first);
    let _third = clients.enter(about(true)).unwrap();
    assert_eq!(clients.count(), (2, 0));
}

#[test]
fn the_oldest_anonymous_client_makes_room_for_a_new_one() {
    let clients = Clients::new(10, 2);
    let known = clients.enter(about(true)).unwrap();
    let oldest = clients.enter(about(false)).unwrap();
    let second = clients.enter(about(false)).unwrap();
    let third = clients.enter(about(false)).unwrap();
    assert!(has_to_go(&oldest));
    assert!(!has_to_go(&known) && !has_to_go(&second) && !has_to_go(&third));
    assert_eq!(clients.count(), (3, 2));
    // It still has to go, though it is not gone yet, and another one makes room now.
    let _fourth = clients.enter(about(false)).unwrap();
    assert!(has_to_go(&second));
    assert_eq!(clients.count(), (3, 2));
}

#[test]
fn anonymous_clients_do_not_keep_others_out_of_a_full_house() {
    let clients = Clients::new(2, 2);
    let oldest = clients.enter(about(false)).unwrap();
    let _other = clients.enter(about(false)).unwrap();
    let _known = clients.enter(about(true)).unwrap();
    assert!(has_to_go(&oldest));
    assert_eq!(clients.count(), (2, 1));
}

#[test]
fn those_that_are_slow_to_go_are_bounded_too() {
    let clients = Clients::new(1000, 1);
    let entered = std::iter::from_fn(|| clients.enter(about(false)).ok());
    let slow: Vec<Presence> = entered.take(1000).collect();
    assert_eq!(slow.len(), LEAVING_MAX + 1);
    drop(slow);
    assert_eq!(clients.count(), (0, 0));
    assert!(clients.enter(about(false)).is_ok());
}

#[test]
fn zero_sets_no_ceiling_on_anonymous_clients() {
    let clients = Clients::new(3, 0);
    let kept: Vec<Presence> = (0..3)
        .map(|_| clients.enter(about(false)).unwrap())
        .collect();
    assert!(kept.iter().all(|presence| !has_to_go(presence)));
}

#[test]
fn one_place_is_found_by_one_socket_only() {
    let clients = Clients::new(1, 1);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(async {
        let finds_room = async |clients: &Clients| {
            tokio::select! {
                biased;
                _turn = clients.room() => true,
                () = std::future::ready(()) => false,
            }
        };
        let turn = clients.room().await;
        assert!(!finds_room(&clients).await, "another found the same place");
        let first = clients.enter(about(true)).unwrap();
        drop(turn);
        assert!(!finds_room(&clients).await);
        drop(first);
        assert!(finds_room(&clients).await);
    });
}

#[test]
fn who_has_authenticated_itself_does_not_have_to_make_room() {
    let clients = Clients::new(10, 1);
    let first = clients.enter(about(false)).unwrap();
    first.update(|about| about.authenticated = true);
    assert_eq!(clients.count(), (1, 0));
    let _second = clients.enter(about(false)).unwrap();
    assert!(!has_to_go(&first));
    assert!(first.about().authenticated);
}

#[test]
fn who_has_to_go_is_in_no_list_and_takes_no_place() {
    let clients = Clients::new(1, 1);
    let first = clients.enter(about(true)).unwrap();
    assert!(clients.dismiss(first.id()));
    assert!(has_to_go(&first));
    assert!(clients.find(first.id()).is_none());
    assert!(
        !clients.dismiss(first.id()),
        "there is none of this number now"
    );
    let second = clients.enter(about(true)).unwrap();
    // What becomes known of it late does not bring it back.
    first.update(|about| about.authenticated = false);
    assert_eq!(clients.count(), (1, 0));
    drop(first);
    assert_eq!(numbers(&clients), [second.id()]);
}

#[tokio::test]
async fn who_waits_for_its_dismissal_is_woken() {
    let clients = Clients::new(1, 1);
    let presence = clients.enter(about(true)).unwrap();
    let id = presence.id();
    let waiting = tokio::spawn(async move { presence.dismissed().await });
    tokio::task::yield_now().await;
    assert!(clients.dismiss(id));
    let woken = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    woken.unwrap().unwrap();
}

#[test]
fn numbers_are_never_given_twice() {
    let clients = Clients::new(2, 0);
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let one = clients.enter(about(true)).unwrap();
        let two = clients.enter(about(true)).unwrap();
        assert!(seen.insert(one.id()) && seen.insert(two.id()));
        clients.dismiss(two.id());
    }
    assert_eq!(seen.first(), Some(&1));
}

#[test]
fn the_hook_hears_of_everyone_who_has_to_go() {
    let clients = Clients::new(10, 1);
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sink = Arc::clone(&heard);
    let list = Arc::downgrade(&clients);
    clients.on_dismiss(move |id| {
        // No lock is held: the list can be used.
        assert!(
            list.upgrade()
                .is_some_and(|clients| clients.find(id).is_none())
        );
        lock(&sink).push(id);
    });
    let pushed_out = clients.enter(about(false)).unwrap();
    let named = clients.enter(about(false)).unwrap();
    clients.dismiss(named.id());
    clients.dismiss(999);
    assert_eq!(*lock(&heard), [pushed_out.id(), named.id()]);
}

#[test]
fn lower_ceilings_let_those_stay_who_are_there() {
    let clients = Clients::new(3, 1);
    let kept: Vec<Presence> = (0..3)
        .map(|_| clients.enter(about(true)).unwrap())
        .collect();
    clients.set_limits(1, 1);
    assert_eq!(clients.limits(), (1, 1));
    assert_eq!(clients.count(), (3, 0));
    assert!(kept.iter().all(|presence| !has_to_go(presence)));
    assert_eq!(clients.enter(about(true)).unwrap_err(), Full);
}

#[test]
fn a_lower_ceiling_on_anonymous_clients_keeps_nobody_out() {
    let clients = Clients::new(10, 5);
    let kept: Vec<Presence> = (0..5)
        .map(|_| clients.enter(about(false)).unwrap())
        .collect();
    clients.set_limits(10, 2);
    let newest = clients.enter(about(false)).unwrap();
    assert_eq!(numbers(&clients), [kept[4].id(), newest.id()]);
}

#[derive(Clone, Debug)]
enum Step {
    Enter(bool),
    Authenticate(usize),
    Dismiss(usize),
    Leave(usize),
    Limit(usize, usize),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Enter),
        (0..8usize).prop_map(Step::Authenticate),
        (0..8usize).prop_map(Step::Dismiss),
        (0..8usize).prop_map(Step::Leave),
        (0..6usize, 0..6usize).prop_map(|(clients, anonymous)| Step::Limit(clients, anonymous)),
    ]
}

proptest! {
    /// What is counted is what a walk over all clients would find, and no ceiling is ever passed by
    /// one who comes in.
    #[test]
    fn counts_are_those_of_the_list(steps in prop::collection::vec(steps(), 0..60)) {
        let clients = Clients::new(4, 2);
        let mut held: Vec<Presence> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(authenticated) => {
                    if let Ok(presence) = clients.enter(about(authenticated)) {
                        held.push(presence);
                        let (limit, anonymous_limit) = clients.limits();
                        let (count, anonymous) = clients.count();
                        prop_assert!(count <= limit);
                        prop_assert!(
                            authenticated || anonymous_limit == 0 || anonymous <= anonymous_limit
                        );
                    }
                }
                Step::Authenticate(index) => {
                    if let Some(presence) = held.get(index) {
                        presence.update(|about| about.authenticated = true);
                    }
                }
                Step::Dismiss(index) => {
                    if let Some(presence) = held.get(index) {
                        clients.dismiss(presence.id());
                    }
                }
                Step::Leave(index) => {
                    if index < held.len() {
                        held.remove(index);
                    }
                }
                Step::Limit(most, anonymous) => clients.set_limits(most, anonymous),
            }
            let list = clients.list();
            let anonymous = list.iter().filter(|(_, about)| !about.authenticated).count();
            prop_assert_eq!(clients.count(), (list.len(), anonymous));
        }
        drop(held);
        prop_assert_eq!(clients.count(), (0, 0));
        prop_assert_eq!(lock(&clients.state).leaving, 0);
    }
}
