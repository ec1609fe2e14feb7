//! DeleteDataset: one dataset and all its records, for ever.
//!
//! `DELETE /identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}`. A
//! dataset that does not exist is a ResourceNotFoundException; to one who wanted it gone, success.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::http::{HttpParts, Method};
use crate::id::{DatasetName, IdentityId, IdentityPoolId};
use crate::request_error::RequestError;
use crate::uri::{Path, QueryWriter};

/// Asks to delete a dataset with all its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteDatasetRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `DatasetName`.
    pub dataset_name: DatasetName,
}

impl DeleteDatasetRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::dataset(
            &self.identity_pool_id,
            &self.identity_id,
            &self.dataset_name,
        );
        HttpParts::without_body(Method::Delete, path, QueryWriter::default())
    }

    pub(crate) fn read(names: [&str; 3]) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
            dataset_name: names[2].parse()?,
        })
    }
}

/// The description of the dataset that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteDatasetResponse {
    /// `Dataset`.
    pub dataset: Dataset,
}
