//! SubscribeToDataset and UnsubscribeFromDataset: which changes a device is told of.
//!
//! `POST` and `DELETE` of
//! `/identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}/subscriptions/{DeviceId}`,
//! without a body either way.

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::{DatasetName, DeviceId, IdentityId, IdentityPoolId};
use crate::request_error::RequestError;
use crate::uri::{Path, QueryWriter};

macro_rules! subscription {
    ($(#[$doc:meta])* $request:ident, $method:expr, $response:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $request {
            /// `IdentityPoolId`.
            pub identity_pool_id: IdentityPoolId,
            /// `IdentityId`.
            pub identity_id: IdentityId,
            /// `DatasetName`.
            pub dataset_name: DatasetName,
            /// `DeviceId`, from RegisterDevice.
            pub device_id: DeviceId,
        }

        impl $request {
            pub(crate) fn to_http(&self) -> HttpParts {
                let path = Path::dataset(
                    &self.identity_pool_id,
                    &self.identity_id,
                    &self.dataset_name,
                );
                let path = path.then("subscriptions").then(self.device_id.as_str());
                HttpParts::without_body($method, path, QueryWriter::default())
            }

            pub(crate) fn read(names: [&str; 3], device: &str) -> Result<Self, RequestError> {
                Ok(Self {
                    identity_pool_id: names[0].parse()?,
                    identity_id: names[1].parse()?,
                    dataset_name: names[2].parse()?,
                    device_id: device.parse()?,
                })
            }
        }

        /// An answer without members.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $response {}
    };
}

subscription! {
    /// Asks to be told of changes of a dataset.
    SubscribeToDatasetRequest, Method::Post, SubscribeToDatasetResponse
}

subscription! {
    /// Asks to be told no more of changes of a dataset.
    UnsubscribeFromDatasetRequest, Method::Delete, UnsubscribeFromDatasetResponse
}
