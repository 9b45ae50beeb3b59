use std::fmt;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Address, Scheme};
use super::http::Connector;
use super::options::StoreOptions;
use super::refusal;
use super::traffic::Traffic;
use crate::Error;

/// Object_store makes a request again within this time; longer, and the credentials it was signed with may be over.
const RETRY_SECONDS: u64 = 120;

/// Longest wait between two tries.
const MAX_DELAY_SECONDS: u64 = 5;

/// A client of the store at `address`. Asks nothing yet.
pub(super) fn client(
    address: &Address,
    options: &StoreOptions,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn ObjectStore>, Error> {
    let connector = Connector {
        traffic: Arc::clone(traffic),
        connections: options.connections,
        timeout: options.timeout,
        follows_redirects: address.scheme == Scheme::Web,
    };
    build(address, options, connector).map_err(|error| refusal::unusable(&error, address))
}

fn build(
    address: &Address,
    options: &StoreOptions,
    connector: Connector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: options.retry_delay,
            max_backoff: options.retry_delay.max(std::time::Duration::from_secs(MAX_DELAY_SECONDS)),
            base: 2.0,
        },
        max_retries: options.retries,
        retry_timeout: std::time::Duration::from_secs(RETRY_SECONDS),
    };
    Ok(match address.scheme {
        Scheme::S3 => {
            let set = |builder: AmazonS3Builder, key: AmazonS3ConfigKey, value: &str| builder.with_config(key, value);
            let builder = configured(AmazonS3Builder::new(), options, "AWS_", set);
            let builder = builder.with_bucket_name(&address.authority).with_retry(retry);
            Arc::new(builder.with_http_connector(connector).build()?)
        }
        Scheme::Google => {
            let set = |b: GoogleCloudStorageBuilder, key: GoogleConfigKey, value: &str| b.with_config(key, value);
            let builder = configured(GoogleCloudStorageBuilder::new(), options, "GOOGLE_", set);
            let builder = builder.with_bucket_name(&address.authority).with_retry(retry);
            Arc::new(builder.with_http_connector(connector).build()?)
        }
        Scheme::Azure => {
            let set = |b: MicrosoftAzureBuilder, key: AzureConfigKey, value: &str| b.with_config(key, value);
            let builder = configured(MicrosoftAzureBuilder::new(), options, "AZURE_", set);
            let builder = builder.with_url(&address.root).with_retry(retry);
            Arc::new(builder.with_http_connector(connector).build()?)
        }
        Scheme::Web => {
            let query = address.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
            // An address without encryption is one of this machine.
            let client = ClientOptions::new().with_allow_http(address.root.starts_with("http://"));
            let builder = HttpBuilder::new().with_url(format!("{}/{query}", address.root)).with_retry(retry);
            Arc::new(builder.with_client_options(client).with_http_connector(connector).build()?)
        }
    })
}

/// The builder with those of the variables that begin with `prefix` and that it knows, as its own `from_env` takes them.
fn configured<B, K: std::str::FromStr<Err: fmt::Display>>(
    builder: B,
    options: &StoreOptions,
    prefix: &str,
    set: impl Fn(B, K, &str) -> B,
) -> B {
    options.named(prefix).fold(builder, |builder, (name, value)| match name.parse() {
        Ok(key) => set(builder, key, value),
        Err(_) => builder,
    })
}
