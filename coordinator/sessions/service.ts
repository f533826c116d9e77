/** AgentService: from a stream of messages to the fleet. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { HoldfastError, NotLeaderError } from '../../core/errors';
import { isNodeName, requireName } from '../../core/ids';
import type { Logger } from '../../core/log';
import { toGrpcError } from '../../core/rpc/errors';
import { nodeNameOf } from '../../core/tls/peer';
import type {
  AgentServiceServer,
  Register,
  SessionRequest,
  SessionResponse,
} from '../../proto/gen/holdfast/v1/agent';
import type { Clock } from '../clock';
import { TIMEOUTS_MS } from '../timeouts';
import type { Fleet } from './fleet';
import type { Link } from './member';

type Call = ServerDuplexStream<SessionRequest, SessionResponse>;

export interface SessionServiceOptions {
  /** As of now. @throws NotLeaderError */
  readonly fleet: () => Fleet;
  readonly clock: Clock;
  readonly log: Logger;
  /** Without TLS (loopback only) a node's name is taken from its Register. */
  readonly isInsecure: boolean;
}

export function sessionService(options: SessionServiceOptions): AgentServiceServer {
  return { session: (call: Call) => serveSession(call, options) };
}

function serveSession(call: Call, { fleet, clock, log, isInsecure }: SessionServiceOptions): void {
  const link = linkOf(call);
  let member: { readonly fleet: Fleet; readonly name: string } | null = null;
  const cancelTimeout = clock.after(TIMEOUTS_MS.register, () => {
    link.close(new HoldfastError('TIMEOUT', 'the session sent no Register'));
  });
  const leave = (reason: string) => {
    cancelTimeout();
    member?.fleet.disconnect(member.name, link, reason);
  };

  call.on('data', (request: SessionRequest) => {
    try {
      if (member !== null) return member.fleet.receive(member.name, link, request);
      const register = registerOf(request, isInsecure ? null : nodeNameOf(call));
      cancelTimeout();
      member = { fleet: fleet(), name: register.node };
      member.fleet.connect(register, link);
    } catch (thrown) {
      const error = thrown instanceof HoldfastError ? thrown : new HoldfastError('INTERNAL', String(thrown));
      const isUsual = error instanceof NotLeaderError;
      log[isUsual ? 'debug' : 'warn'](
        { node: member?.name, code: error.code, peer: call.getPeer() },
        `session refused: ${error.message}`,
      );
      link.close(error);
    }
  });
  call.on('end', () => {
    leave('the agent closed it');
    call.end();
  });
  call.on('cancelled', () => leave('the connection broke'));
  call.on('error', (error) => leave(error.message));
}

/** @param certifiedName the certificate's; null when there is none */
function registerOf(request: SessionRequest, certifiedName: string | null): Register {
  if (request.message?.$case !== 'register') {
    throw new HoldfastError('INVALID_ARGUMENT', 'a session must begin with Register');
  }
  const register = request.message.value;
  requireName('node name', register.node, isNodeName);
  if (certifiedName !== null && certifiedName !== register.node) {
    throw new HoldfastError(
      'UNAUTHENTICATED',
      `an agent with the certificate of node ${certifiedName} says that it is node ${register.node}`,
      'issue a certificate for the name, or start the agent with the name of its certificate',
    );
  }
  if (register.facts === undefined || register.instance === '') {
    throw new HoldfastError('INVALID_ARGUMENT', `node ${register.node} registered without facts or instance`);
  }
  return register;
}

function linkOf(call: Call): Link {
  let isOpen = true;
  call.on('cancelled', () => {
    isOpen = false;
  });
  return {
    send: (response) => {
      if (isOpen) call.write(response);
    },
    close: (reason) => {
      if (!isOpen) return;
      isOpen = false;
      call.emit('error', toGrpcError(reason));
    },
  };
}
