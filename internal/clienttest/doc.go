// Package clienttest drives unmodified S3 clients against a real gateway
// process over loopback, and holds what they stored against what lies on disk.
//
// The default build has the four clients that most people use, and the tests
// that need a whole process: canaries searched for in every byte that was
// written, kill -9 in the middle of uploads, and a disk that alters sealed
// blobs. The build tag clients adds the slower ones.
//
// It has no code of its own and never reaches into the gateway: everything goes
// through its command line, its listeners and its data folder.
package clienttest
