// Package api is what brokerctl, editors and brokerd have in common: the wire types, the errors with their codes, and a Client.
//
// The API is HTTP with JSON bodies over a unix socket, below /v1. Streams are one JSON object a line. An error is a status of
// 400 or above with {"error":{"code","message","hint"}}. Each request carries its API version in a header; a daemon of another
// version answers everything but /v1/info with the code "version".
//
// The package uses the standard library only, starts no goroutines, and knows nothing of how sessions are carried out.
package api
