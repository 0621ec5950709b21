package tcp

import "testing"

// A receiver believes a reset only at exactly the number it expects
// (RFC 5961 section 3.2).
//
//	      next            next+window
//	-------|-----------------|-------
//	outside ^exact   inside    outside
func TestResets(t *testing.T) {
	const sent = shook + `
		> A 1 1 +10 ; @0
		< A 1 11
	`
	playAll(t, []scene{
		{"exact", sent + "> R 11 ; Reset end"},
		{"exact, of the other side", sent + "< RA 1 11 ; Reset end"},
		{"exact with any ACK number", sent + "> RA 11 77777 ; Reset end"},
		{"exact with payload, which is none", sent + "> RA 11 1 +3 ; Reset end nowhere"},
		{"exact with every flag", sent + "> SAFRPU 11 1 ; Reset end nowhere"},
		{"in the window", sent + "> R 12 ; ImplausibleRST"},
		{"in the window, further", sent + "> R 1011 ; ImplausibleRST"},
		{"one below", sent + "> R 10 ; ImplausibleRST"},
		{"beyond the window", sent + "> R 9000000 ; ImplausibleRST"},
		{"half the space away", sent + "> R 0x8000000b ; ImplausibleRST"},
		{"at the end of what was sent, the window's width behind a hole", shook + `
			> A 10001 1 +60000 ; Hole OutOfWindow held @10000-65535
			> A 70001 1 +60000 ; OutOfWindow held rival nowhere
			> A 130001 1 +60000 ; OutOfWindow held rival nowhere
			> R 190001 ; ImplausibleRST`},
		{"where the peer waits although more was sent", sent + `
			> A 11 1 +10 ; @10
			> R 11 ; ResetPending`},
		{"behind the FIN", sent + `
			> FA 11 1 ; FinWait @10
			> R 12 ; ResetPending`},
		{"first of all", "> R 77 ; ResetPending"},
		{"first of all, with a SYN", "> SR 77 ; ResetPending"},
	})
}

func TestResetsOfAnOpeningConnection(t *testing.T) {
	playAll(t, []scene{
		{"refused", "> S 0 ; SynSent\n< RA 0 1 ; Reset end"},
		{"refused with the data of the SYN", "> S 0 +5 ; SynSent @0\n< RA 0 6 ; Reset end"},
		{"without ACK it refuses nothing", "> S 0 ; SynSent\n< R 0 ; ImplausibleRST\n< SA 0 1 ; SynReceived"},
		{"with a wrong ACK it refuses nothing", "> S 0 ; SynSent\n< RA 0 2 ; ImplausibleRST\n< RA 0 0 ; ImplausibleRST\n< SA 0 1 ; SynReceived"},
		{"taken back by the opener", "> S 0 ; SynSent\n> R 1 ; Reset end"},
		{"the opener refuses an answer to an older connection", `
			> S 0 ; SynSent
			> R 5000 ; ImplausibleRST
			> S 0 ; RepeatedSYN
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established`},
		{"after the SYN+ACK, exact", "> S 0 ; SynSent\n< SA 0 1 ; SynReceived\n> R 1 ; Reset end"},
		{"after the SYN+ACK, in the window", "> S 0 ; SynSent\n< SA 0 1 ; SynReceived\n> R 2 ; ImplausibleRST\n> A 1 1 ; est Established"},
	})
}

// Loss in the capture is no reason to believe a reset elsewhere in the window: its receiver, if it is
// captured, tells.
func TestAResetInTheWindowIsInDoubtWhereTheViewIsIncomplete(t *testing.T) {
	playAll(t, []scene{
		{"a hole", shook + `
			> A 4 1 +3 ; Hole @3
			> R 100 ; ImplausibleRST`},
		{"behind an island", shook + `
			> A 4 1 +3 ; Hole @3
			> R 7 ; ImplausibleRST`},
		{"unseen bytes were acknowledged", shook + `
			< A 1 500 ; ImplausibleACK rival
			> R 600 ; ImplausibleRST`},
		{"bytes were acknowledged and never seen", shook + `
			> A 1 1 +10 ; @0
			> A 21 1 +10 ; Hole @20
			< A 1 31
			> R 100 ; ImplausibleRST`},
		{"under way when first seen", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 ; leaps @0
			> R 100 ; ImplausibleRST`},
		{"one side seen", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			> A 1 1 +3 ; leaps nowhere est Established @0
			> R 100 ; ResetPending`},
		{"one side seen, and the reset is as far as a window may reach", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			> A 1 1 +3 ; leaps nowhere est Established @0
			> R 0x40000005 ; ImplausibleRST
			> R 0x40000004 ; ResetPending`},
		{"but not outside the window", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 ; leaps @0
			> R -1 ; ImplausibleRST
			> R 0x70000000 ; ImplausibleRST`},
		{"not if all that was missing came late", shook + `
			< A 1 11 ; ImplausibleACK rival
			> A 1 1 +10 ; @0
			> R 100 ; ImplausibleRST`},
		{"not if the hole was closed", shook + `
			> A 11 1 +10 ; Hole @10
			> A 1 1 +10 ; OutOfOrder @0
			< A 1 21
			> R 100 ; ImplausibleRST`},
	})
}

func TestAResetInDoubtDecidesOnlyIfItsSenderStaysSilent(t *testing.T) {
	const doubt = shook + "> R 100 ; ImplausibleRST\n"
	for name, c := range map[string]struct {
		script  string
		pending bool
	}{
		"silence":                        {doubt, true},
		"only the other side goes on":    {doubt + "< A 1 1 +5 ; @0", false},
		"another reset":                  {doubt + "> R 101 ; ImplausibleRST", true},
		"a segment that cannot be his":   {doubt + "> A 9000001 1 +1 ; OutOfWindow rival nowhere", true},
		"an ACK that cannot be his":      {doubt + "> A 1 -50000 ; ImplausibleACK rival", true},
		"it speaks, as it would have":    {doubt + "> A 1 1", true},
		"it goes on up to there":         {doubt + "> A 1 1 +99 ; @0", true},
		"it goes on beyond":              {doubt + "> A 1 1 +100 ; @0", false},
		"it goes on, and so do both":     {doubt + "< R 100 ; ImplausibleRST\n> A 1 1\n< A 1 1", false},
		"both had one, one goes on":      {doubt + "< R 100 ; ImplausibleRST\n> A 1 1", false},
		"its SYN again":                  {"> S 0 ; SynSent\n> R 100 ; ImplausibleRST\n> S 0 ; RepeatedSYN", false},
		"outside the window it is noise": {shook + "> R 9000000 ; ImplausibleRST", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, c.script).conn.PendingReset(); got != c.pending {
				t.Errorf("PendingReset() = %t", got)
			}
		})
	}
}
