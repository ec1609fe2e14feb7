//! The Amazon Cognito Sync API: types, JSON and HTTP forms
