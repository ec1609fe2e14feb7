//! A self-hosted service that speaks the Amazon Cognito Sync API
