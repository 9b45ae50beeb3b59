use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Fetched;

/// What came over the wire.
#[derive(Default, Debug)]
pub(super) struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
    /// Of the bytes, those that nobody had named a range for: listings, tokens.
    unnamed: AtomicU64,
}

impl Traffic {
    /// Counts the answer to a request without a range; what such answers are together.
    pub(super) fn add_unnamed(&self, bytes: usize) -> u64 {
        self.unnamed.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64
    }

    /// Counts an answer.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> Fetched {
        Fetched { bytes: self.bytes.load(Ordering::Relaxed), requests: self.requests.load(Ordering::Relaxed) }
    }
}

/// What was fetched from one address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The address, as it may be shown.
    pub address: String,
    /// What was fetched.
    pub fetched: Fetched,
}

/// Addresses that this process has opened and that nobody has asked about yet.
static OPENED: Mutex<Vec<(String, Arc<Traffic>)>> = Mutex::new(Vec::new());

/// Of a process that opens many and never asks, the last are known.
const MOST_OPENED: usize = 256;

pub(super) fn watch(address: &Path, traffic: &Arc<Traffic>) {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if opened.len() == MOST_OPENED {
        opened.remove(0);
    }
    opened.push((address.display().to_string(), Arc::clone(traffic)));
}

/// What this process has fetched from the addresses it opened since this was asked last, in their order; an address that was opened
/// several times comes once. For a command that says at its end what it has cost.
pub fn take_accounts() -> Vec<Account> {
    let opened = std::mem::take(&mut *OPENED.lock().unwrap_or_else(PoisonError::into_inner));
    let mut accounts: Vec<Account> = Vec::new();
    for (address, traffic) in opened {
        let Fetched { bytes, requests } = traffic.total();
        match accounts.iter_mut().find(|account| account.address == address) {
            Some(account) => {
                account.fetched.bytes += bytes;
                account.fetched.requests += requests;
            }
            None => accounts.push(Account { address, fetched: Fetched { bytes, requests } }),
        }
    }
    accounts
}
