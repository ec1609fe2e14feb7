//! Offline-first datasets that merge by themselves and sync through Amazon Cognito Sync records
