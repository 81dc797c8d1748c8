-- Our lock is over, and somebody waits for it.
-- returns 1 released | id and token of a waiter of our process that has it now
function steps.release(lock, queue, queued)
  local id, token = hand_on(lock, queue, queued)
  if token == 0 then return 1 end
  return { id, token }
end
