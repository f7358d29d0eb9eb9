package proxy

import "time"

const (
	firstBytes   = 60 * time.Second // for a connection to say what it is
	hookTime     = 15 * time.Second // for BeforeFirst and AfterLast, each
	turnTime     = 30 * time.Second // that a newcomer waits for its turn: the hooks and the leave-taking before it
	dialTime     = 30 * time.Second
	fetchTime    = 15 * time.Second // for one HTTP answer of an inspector
	farewellTime = 5 * time.Second  // for a server to answer our disconnect
	hangUpTime   = 2 * time.Second  // for a server to end its side after the front end has
	lingerTime   = time.Second      // for a front end to read what we wrote before we close
	writeTime    = 5 * time.Second  // for a refusal to be taken
	dismissTime  = 2 * time.Second  // for the front ends to take the news that the session ends
	leaveTime    = time.Second      // for them to leave by themselves then
	relistenTime = 5 * time.Second  // for a JVM to listen again after a detach
	relistenStep = 100 * time.Millisecond
	handoverTime = 500 * time.Millisecond // for the end of a front end's old connection to be seen when its new one is there already

	maxPending   = 64      // connections that have not said yet what they are
	maxConns     = 256     // connections at all
	maxFirst     = 1 << 20 // bytes of a front end's first DAP message
	maxPacket    = 256 << 20
	maxHTTP      = 16 << 10 // bytes of a request's header
	maxAnnounced = 4096     // subprocesses that a server may announce
	copyBuffer   = 64 << 10
)
